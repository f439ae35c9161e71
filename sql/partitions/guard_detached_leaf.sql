-- Ends the transaction (SQLSTATE SDB06) unless a table still is the detached leaf of the plan: by OID and name, nobody's
-- partition, and known to have been detached. Lock: none. May run in a transaction, and does: the one that drops it.
select sensordb.refuse(
         'changed',
         format('%I.%I is no longer the detached leaf that it was when this was planned.', :'schema'::text, :'leaf'::text),
         'Somebody replaced, renamed, moved or attached it: look at it, and run it again.',
         format('%I.%I', :'schema'::text, :'leaf'::text))
 where not exists (
   select from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     join sensordb.detached_leaf d on d.leaf_oid = c.oid and d.leaf_name = c.relname
    where c.oid = :'leaf_oid'::oid and n.nspname = :'schema' and c.relname = :'leaf' and not exists (select from pg_inherits i where i.inhrelid = c.oid or i.inhparent = c.oid and c.relkind <> 'p')
      and d.id = :'record_id' and d.parent_oid = :'table_oid'::oid and d.state in ('detaching', 'detached'))
