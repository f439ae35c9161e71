-- Counts single device-hours. They all lie in a range with both ends inclusive, which keeps PostgreSQL to the leaves of that range: by
-- the joined hours alone it would lock every leaf, and its lock table is finite (53200). Lock: ACCESS SHARE on the table and on
-- the leaves of the range. May run in a transaction.
select p.device_id, p.hour, g.moments[1]::bigint as reading_count, g.moments[2] as value_sum, g.value_min, g.value_max,
       g.moments[3] as value_sxx, g.first_at, g."values"[1] as first_value, g.last_at,
       g."values"[cardinality(g."values")] as last_value, k.value_sketch
  from unnest(:'devices'::bigint[], :'hours'::timestamptz[]) p (device_id, hour)
  cross join lateral (
    select sensordb.:"moments"(r.value) as moments, min(r.value) as value_min, max(r.value) as value_max,
           min(r."timestamp") as first_at, max(r."timestamp") as last_at,
           array_agg(r.value order by r."timestamp", r.id) as "values"
      from :"schema".:"table" r
     where r.device_id = p.device_id
       -- Of the hours -infinity and infinity, which are instants, too, this is all.
       and r."timestamp" >= p.hour and r."timestamp" <= p.hour + interval '59 minutes 59.999999 seconds'
       and r."timestamp" >= :'lower'::timestamptz and r."timestamp" <= :'last'::timestamptz
  ) g
  cross join lateral sensordb.sketch_of(g."values") k
 where g.moments[1] > 0
