-- Notes that a leaf is a partition of its parent again. Lock: none but on schema sensordb. May run in a transaction.
update sensordb.detached_leaf d
   set state = 'attached', ended_at = clock_timestamp(), ended_by = session_user
 where d.leaf_oid = :'leaf_oid' and d.state in ('detaching', 'detached')
