-- Brings aggregates up to date: of what is stored (a CTE, as stored_range.sql gives it) it makes what was counted (fresh, as
-- fresh_range.sql does); only rows that differ are written. It is the end of a statement that begins with those two.
-- Lock: ROW EXCLUSIVE on the aggregates. May run in a transaction.
gone as (
  delete from :"schema".:"aggregates" a using stored s
   where a.id = s.id and not exists (select from fresh f where f.device_id = s.device_id and f.hour = s.hour)
  returning 1
),
put as (
  insert into :"schema".:"aggregates" (
    device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx, first_at, first_value, last_at, last_value,
    value_sketch
  )
  select f.*
    from fresh f
    left join stored s on s.device_id = f.device_id and s.hour = f.hour
   where row(s.reading_count, s.value_sum, s.value_min, s.value_max, s.value_sxx, s.first_at, s.first_value, s.last_at, s.last_value,
             s.value_sketch)
     is distinct from
         row(f.reading_count, f.value_sum, f.value_min, f.value_max, f.value_sxx, f.first_at, f.first_value, f.last_at, f.last_value,
             f.value_sketch)
  on conflict (device_id, hour) do update
    set reading_count = excluded.reading_count, value_sum = excluded.value_sum, value_min = excluded.value_min,
        value_max = excluded.value_max, value_sxx = excluded.value_sxx, first_at = excluded.first_at,
        first_value = excluded.first_value, last_at = excluded.last_at, last_value = excluded.last_value,
        value_sketch = excluded.value_sketch
  returning 1
)
select (select count(*)::int from fresh) as counted, (select count(*)::int from put) as written,
       (select count(*)::int from gone) as removed
