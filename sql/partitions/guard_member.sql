-- Ends the transaction (SQLSTATE SDB06) unless a partition, or the table itself, still is the one of the plan: the same OID under
-- the same name, below the same parent (0: none). Lock: none. May run in a transaction, and does: as its first statement, and as
-- its last one, when what the statements in between found under that name can get no other name any more.
select sensordb.refuse(
         'changed',
         format('%I.%I is no longer what it was when this was planned.', :'schema'::text, :'leaf'::text),
         'Somebody replaced, renamed, moved or detached it: look at it, and run it again.',
         format('%I.%I', :'schema'::text, :'leaf'::text))
 where not exists (
   select from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     left join pg_inherits i on i.inhrelid = c.oid and not i.inhdetachpending
    where c.oid = :'leaf_oid'::oid and n.nspname = :'schema' and c.relname = :'leaf'
      and coalesce(i.inhparent, 0) = :'parent_oid'::oid)
