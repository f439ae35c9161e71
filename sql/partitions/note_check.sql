-- Notes which CHECK stands on the bounds of a detached leaf. Lock: none but on schema sensordb. May run in a transaction.
update sensordb.detached_leaf d
   set check_name = :'check_name'
 where d.leaf_oid = :'leaf_oid' and d.state in ('detaching', 'detached')
