-- Notes the bounds that a table is to be attached with which sensordb did not detach, so that the next run carries on.
-- Lock: none but on schema sensordb. May run in a transaction.
insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid, leaf_schema, leaf_name, bound,
                                    lower_bound, upper_bound, state, own_checks)
select :'parent_oid', :'parent_schema', :'parent', :'leaf_oid', :'schema', :'leaf', :'bound',
       :'lower', :'upper', 'detached',
       array(select k.conname::text from pg_constraint k where k.conrelid = :'leaf_oid' and k.contype = 'c' order by 1)
