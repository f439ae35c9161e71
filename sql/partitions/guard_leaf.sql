-- Ends the transaction with SDB06 unless a leaf is the very table that was planned for: the same OID under the same name, in
-- the same state (attached, detach_pending, detached), with the same bound if one is given. A statement goes by name alone: after
-- it this says that it was the right table. Lock: none. May run in a transaction, and must.
select sensordb.refuse('changed',
         format('%I.%I is no longer what this was planned for: a leaf of that name with these bounds, %s.',
                :'schema', :'leaf', replace(:'state', '_', ' ')),
         'Somebody else works on it. Run this again: it works on what is there by then.',
         format('%I.%I', :'schema', :'leaf'))
 where not exists (
   select from pg_class c
     join pg_namespace n on n.oid = c.relnamespace
     left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = :'parent_oid'
    where c.oid = :'leaf_oid' and n.nspname = :'schema' and c.relname = :'leaf'
      and case when i.inhrelid is null then case when c.relispartition then 'elsewhere' else 'detached' end
               when i.inhdetachpending then 'detach_pending' else 'attached' end = :'state'
      -- With 0 in place of the table it waits for nobody (14 to 18).
      and (:'state' = 'detached' or :'bound' = '' or pg_get_expr(c.relpartbound, 0) = :'bound')
 )
