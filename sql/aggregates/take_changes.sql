-- Takes device-hours off the log of changes, at most so many; they are counted by a later statement of the same transaction, whose
-- snapshot sees the readings of every entry that this one took: log and reading are committed together.
-- Lock: none but on schema sensordb. Runs in a transaction.
with chosen as materialized (
  select c.device_id, c.hour from sensordb.aggregate_change c where c.source_id = :'source'
   group by c.device_id, c.hour order by c.hour, c.device_id limit :'limit'::bigint
),
taken as (
  delete from sensordb.aggregate_change c using chosen k
   where c.source_id = :'source' and c.device_id = k.device_id and c.hour = k.hour
),
frozen as materialized (
  select sensordb.retired_ranges(:'source') as hours
),
sorted as (
  -- Open ranges contain the instants -infinity and infinity, too.
  select k.device_id, k.hour, f.hours @> k.hour as is_frozen from chosen k cross join frozen f
),
skipped as (
  insert into sensordb.aggregate_skipped (source_id, device_id, hour)
  select :'source'::bigint, s.device_id, s.hour from sorted s where s.is_frozen
  on conflict do nothing
)
select s.device_id::text as device_id, s.hour::text as hour, s.is_frozen from sorted s order by s.hour, s.device_id
