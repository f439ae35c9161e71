-- Ends the transaction (SQLSTATE SDB06) unless a leaf still is the one of the plan, with the bounds of the plan, and not the last
-- one. Lock: none. May run in a transaction, and does: under a lock on the parent, which keeps all of this as it is.
select sensordb.refuse(r.reason, r.message, r.remedy, format('%I.%I', :'schema'::text, :'leaf'::text))
  from (
    select 'changed' as reason,
           format('%I.%I is no longer the partition that it was when this was planned.', :'schema'::text, :'leaf'::text) as message,
           'Somebody replaced, renamed, moved or detached it: look at it, and run it again.' as remedy
     where not exists (
       select from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         join pg_inherits i on i.inhrelid = c.oid
        where c.oid = :'leaf_oid'::oid and n.nspname = :'schema' and c.relname = :'leaf'
          and i.inhparent = :'table_oid'::oid and not i.inhdetachpending
          and pg_get_expr(c.relpartbound, 0) = :'bound')
    union all
    select 'last_leaf',
           format('%I.%I is the last attached leaf by now.', :'schema'::text, :'leaf'::text),
           'Make others first: sensordb partitions ensure.'
     where not exists (
       select from pg_inherits i
         join pg_class c on c.oid = i.inhrelid
        where i.inhparent = :'table_oid'::oid and i.inhrelid <> :'leaf_oid'::oid and not i.inhdetachpending
          and pg_get_expr(c.relpartbound, 0) <> 'DEFAULT')
  ) r
