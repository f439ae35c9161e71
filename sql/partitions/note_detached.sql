-- Notes that a leaf is detached, which CHECK that left on it, and which publications it has left.
-- Lock: none but on schema sensordb. May run in a transaction.
update sensordb.detached_leaf d
   set state = 'detached',
       -- From now on somebody may want it back: what an interrupted run began counts from its end.
       detached_at = case d.state when 'detaching' then clock_timestamp() else d.detached_at end,
       detached_by = case d.state when 'detaching' then session_user else d.detached_by end,
       check_name = coalesce(d.check_name, (
         select k.conname from pg_constraint k
          where k.conrelid = d.leaf_oid and k.contype = 'c' and k.conname <> all (d.own_checks)
          order by k.oid limit 1)),
       publications = d.publications || :'publications'::jsonb
 where d.leaf_oid = :'leaf_oid' and d.state in ('detaching', 'detached')
