-- Counts all readings of a range, by device and hour: whole hours, with both ends inclusive; the origin is an hour at or before it.
-- Lock: ACCESS SHARE on the table and on the leaves of the range. May run in a transaction.
select g.device_id, g.hour, g.moments[1]::bigint as reading_count, g.moments[2] as value_sum, g.value_min, g.value_max,
       g.moments[3] as value_sxx, g.first_at, g."values"[1] as first_value, g.last_at,
       g."values"[cardinality(g."values")] as last_value, k.value_sketch
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
  cross join lateral sensordb.sketch_of(g."values") k
