-- Counts all readings of a range anew and brings its aggregates up to date: only rows that differ are written. The range is whole
-- hours, with both ends inclusive; the origin is an hour at or before it. Lock: ACCESS SHARE on the table and on the leaves of the
-- range, ROW EXCLUSIVE on the aggregates. May run in a transaction.
with fresh as materialized (
  select g.device_id, g.hour, g.moments[1]::bigint as reading_count, g.moments[2] as value_sum, g.value_min, g.value_max,
         g.moments[3] as value_sxx, g.first_at, g."values"[1] as first_value, g.last_at,
         g."values"[cardinality(g."values")] as last_value
    from (
      -- Sorted once, and grouped as they come: an ORDER BY within array_agg would sort each group, or all of them twice.
      select r.device_id, r.hour, sensordb.:"moments"(r.value) as moments, min(r.value) as value_min, max(r.value) as value_max,
             min(r."timestamp") as first_at, max(r."timestamp") as last_at, array_agg(r.value) as "values"
        from (
          select r.device_id, date_bin('1 hour', r."timestamp", :'origin'::timestamptz) as hour, r."timestamp", r.value
            from :"schema".:"table" r
           where r."timestamp" >= :'lower'::timestamptz and r."timestamp" <= :'last'::timestamptz
           order by 1, 2, r."timestamp", r.id
        ) r
       group by r.device_id, r.hour
    ) g
),
gone as (
  delete from :"schema".:"aggregates" a
   where a.hour >= :'lower'::timestamptz and a.hour <= :'last'::timestamptz
     and not exists (select from fresh f where f.device_id = a.device_id and f.hour = a.hour)
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
select (select count(*)::int from fresh) as counted, (select count(*)::int from put) as written,
       (select count(*)::int from gone) as removed
