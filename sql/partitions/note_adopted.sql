-- Notes a table that sensordb did not detach as attached, in the transaction that attaches it: before that it is nobody's leaf,
-- and no note may make it one. Lock: none but on schema sensordb. Must run in the transaction of the ATTACH.
insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid, leaf_schema, leaf_name, bound,
                                    lower_bound, upper_bound, state, ended_at, ended_by)
values (:'parent_oid', :'parent_schema', :'parent', :'leaf_oid', :'schema', :'leaf', :'bound',
        :'lower', :'upper', 'attached', clock_timestamp(), session_user)
