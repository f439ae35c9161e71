-- Takes note of partitions that came, went, or were changed behind the triggers' back. Lock: ACCESS SHARE on the aggregates where one
-- went, or else none but on schema sensordb. May run in a transaction.
select * from sensordb.settle_leaves(:'source')
