-- Forgets which rows were copied where, once that is of no use any more. Lock: none but on sensordb.drain_row.
-- May run in a transaction.
delete from sensordb.drain_row m
 where not exists (select from sensordb.drain d where d.id = m.drain_id and d.state in ('copying', 'indexed'))
