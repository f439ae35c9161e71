-- Notes how far the filling of a table has come. Lock: none but on sensordb.drain. May run in a transaction.
update sensordb.drain
   set state = :'state', ended_at = case when :'state' in ('done', 'given_up') then clock_timestamp() end
 where leaf_oid = :'leaf'::regclass and state in ('copying', 'indexed')
