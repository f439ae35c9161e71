-- Notes a leaf whose DETACH CONCURRENTLY somebody began and did not end, with what PostgreSQL knows of it by itself.
-- Locks: ACCESS SHARE on the parent and the leaf (pg_get_partition_constraintdef). May run in a transaction, and must.
insert into sensordb.detached_leaf as d (parent_oid, parent_schema, parent_name, leaf_oid, leaf_schema, leaf_name, bound,
                                         lower_bound, upper_bound, state, target_schema, own_checks)
select :'parent_oid', :'parent_schema', :'parent', :'leaf_oid', :'schema', :'leaf', :'bound',
       :'lower', :'upper', 'detaching', nullif(:'target_schema', ''),
       -- The CHECK on its bounds is there already, and is not one of its own.
       array(select k.conname::text from pg_constraint k
              where k.conrelid = :'leaf_oid' and k.contype = 'c'
                and pg_get_constraintdef(k.oid) <> 'CHECK (' || pg_get_partition_constraintdef(:'leaf_oid') || ')'
              order by 1)
on conflict (leaf_oid) where state in ('detaching', 'detached') do update
   set (parent_oid, parent_schema, parent_name, leaf_schema, leaf_name, bound, lower_bound, upper_bound, state,
        target_schema, check_name, own_checks, publications, detached_at, detached_by)
     = row (excluded.parent_oid, excluded.parent_schema, excluded.parent_name, excluded.leaf_schema, excluded.leaf_name,
            excluded.bound, excluded.lower_bound, excluded.upper_bound, excluded.state, excluded.target_schema,
            excluded.check_name, excluded.own_checks, excluded.publications, excluded.detached_at, excluded.detached_by)
