-- Remembers an attached leaf that is dropped: where it was, and which bounds it had. Lock: none but on schema sensordb. May
-- run in a transaction, and does: the one that drops it.
insert into sensordb.detached_leaf (
  parent_oid, parent_schema, parent_name, leaf_oid, leaf_schema, leaf_name, bound, lower_bound, upper_bound,
  state, ended_at, ended_by)
values (
  :'table_oid', :'parent_schema', :'parent', :'leaf_oid', :'schema', :'leaf', :'bound', :'lower', :'upper',
  'dropped', clock_timestamp(), session_user)
