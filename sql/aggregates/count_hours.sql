-- Counts single device-hours anew and brings their aggregates up to date. They all lie in a range with both ends inclusive, which
-- keeps PostgreSQL to the leaves of that range: by the joined hours alone it would lock every leaf, and its lock table is finite
-- (53200). Lock: ACCESS SHARE on the table and on the leaves of the range, ROW EXCLUSIVE on the aggregates. May run in a transaction.
with pair as materialized (
  select d.device_id, d.hour from unnest(:'devices'::bigint[], :'hours'::timestamptz[]) d (device_id, hour)
),
fresh as materialized (
  select p.device_id, p.hour, g.moments[1]::bigint as reading_count, g.moments[2] as value_sum, g.value_min, g.value_max,
         g.moments[3] as value_sxx, g.first_at, g."values"[1] as first_value, g.last_at,
         g."values"[cardinality(g."values")] as last_value
    from pair p
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
   where g.moments[1] > 0
),
gone as (
  delete from :"schema".:"aggregates" a
   using pair p
   where a.device_id = p.device_id and a.hour = p.hour
     and not exists (select from fresh f where f.device_id = p.device_id and f.hour = p.hour)
  returning 1
),
put as (
  insert into :"schema".:"aggregates" as a (
    device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx, first_at, first_value, last_at, last_value
  )
  select f.* from fresh f
   where not exists (
     select from :"schema".:"aggregates" s
      where s.device_id = f.device_id and s.hour = f.hour
        and (s.reading_count, s.value_sum, s.value_min, s.value_max, s.value_sxx, s.first_at, s.first_value, s.last_at, s.last_value)
          = (f.reading_count, f.value_sum, f.value_min, f.value_max, f.value_sxx, f.first_at, f.first_value, f.last_at, f.last_value)
   )
   order by f.device_id, f.hour
  on conflict (device_id, hour) do update
    set reading_count = excluded.reading_count, value_sum = excluded.value_sum, value_min = excluded.value_min,
        value_max = excluded.value_max, value_sxx = excluded.value_sxx, first_at = excluded.first_at,
        first_value = excluded.first_value, last_at = excluded.last_at, last_value = excluded.last_value
  returning 1
)
select (select count(*)::int from pair) as counted, (select count(*)::int from put) as written,
       (select count(*)::int from gone) as removed
