-- Notes of a leaf that goes without the gate that changes of it were not logged, which nobody could tell of a detached one.
-- Lock: none but on schema sensordb. May run in a transaction, and does: before the detach.
update sensordb.aggregate_leaf k
   set fingerprint = null
  from sensordb.aggregate_source s
  cross join sensordb.aggregate_leaves(s.readings, array(
    select o.leaf_oid from sensordb.aggregate_leaf o where o.source_id = s.id and :'leaf_oid'::oid = any (o.members))) l
 where k.source_id = s.id and k.leaf_oid = l.leaf_oid and l.fingerprint is distinct from k.fingerprint
