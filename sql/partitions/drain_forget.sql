-- Forgets which rows were copied into a table that was not finished. Lock: none but on sensordb.drain_row.
-- May run in a transaction.
delete from sensordb.drain_row m
 using sensordb.drain d
 where d.id = m.drain_id and d.leaf_oid = :'leaf'::regclass and d.state in ('copying', 'indexed')
