-- Creates the indexes by which hours and days are found, and the views of hourly, daily and monthly figures, merged exactly.
-- Strongest lock: SHARE on sensors_sensoraggregate, for the index. Runs in a transaction.

create function :"schema".sensors_month_of(hour timestamptz) returns date
language sql immutable parallel safe
as $$
  -- The earliest month is not whole, and its first day no date (22008).
  select case when hour at time zone 'UTC' < timestamp '4714-12-01 BC' and hour > '-infinity' then date '4714-11-24 BC'
              else date_trunc('month', hour at time zone 'UTC')::date end
$$;

comment on function :"schema".sensors_month_of is 'The first day of an instant''s month, in UTC.';

-- Whoever asks for all devices of a time goes by it, and so does each piece of a backfill, refresh or verification, to see what is
-- stored of its hours. Measured at 200,000 rows in slices sorted by device_id and hour: filling takes 1.4 times as long as
-- without, and 0.9 times as long as with an ON CONFLICT that it spares the first filling.
create index sensors_sensoraggregate_hour_idx on :"schema".sensors_sensoraggregate (hour);

-- Whoever asks the views for days or months goes by it; it is nearly free.
create index sensors_sensoraggregate_day_brin_idx on :"schema".sensors_sensoraggregate using brin (
  ((hour at time zone 'UTC')::date), :"schema".sensors_month_of(hour)
) with (autosummarize = on);

comment on index :"schema".sensors_sensoraggregate_day_brin_idx is
  'Its columns are day and month of the views, letter by letter.';

-- The state is {count, sum, centred sum of squares}. float8_combine is PostgreSQL's own, with which parallel workers'
-- variances are put together: Sxx = Sxx1 + Sxx2 + n1 n2 (avg1 - avg2)^2 / (n1 + n2), so nothing large cancels out.
create aggregate :"schema".sensors_moments_merge (double precision[]) (
  sfunc = float8_combine,
  stype = double precision[],
  combinefunc = float8_combine,
  initcond = '{0,0,0}',
  parallel = safe
);

comment on aggregate :"schema".sensors_moments_merge (double precision[]) is
  'Merges {reading_count, value_sum, value_sxx} of several hours; fails (22003) where they overflow.';

create function :"schema".sensors_moments_scaled(state double precision[]) returns double precision[]
language sql immutable parallel safe
as $$
  select array[
    state[1],
    case when abs(state[2]) < 1e-90 then 0 else state[2] * 2.0::double precision ^ -700 end,
    case when abs(state[2]) >= 'infinity' then 'NaN'
         when state[3] < 1e120 then 0
         else state[3] * 2.0::double precision ^ -700 * 2.0::double precision ^ -700 end
  ]
$$;

comment on function :"schema".sensors_moments_scaled is
  'A state with its values times 2^-700, so that none can overflow. What is left out is less than the rounding of what is not.';

create function :"schema".sensors_moments_unscaled(state double precision[]) returns double precision[]
language sql immutable parallel safe
as $$
  select array[
    state[1],
    case when abs(state[2]) > 1.7976931348623157e308 * 2.0::double precision ^ -700 and abs(state[2]) < 'infinity' then 'NaN'
         else state[2] * 2.0::double precision ^ 700 end,
    case when state[3] > 1.7976931348623157e308 * 2.0::double precision ^ -700 * 2.0::double precision ^ -700
              and state[3] < 'infinity' then 'NaN'
         else state[3] * 2.0::double precision ^ 700 * 2.0::double precision ^ 700 end
  ]
$$;

comment on function :"schema".sensors_moments_unscaled is
  'The state that sensors_moments_scaled was made of; what has become too large is NaN.';

-- A sketch is sorted, an element for each digit of each bucket's count: bucket * 16384 + digit's place * 4096 + digit, the counts in
-- digits of base 4096. Bucket 40000 + k holds what lies about e^(k/50), -40000 - k its negatives, and 0 zero; 100000 is infinity,
-- -100000 -infinity, 100001 NaN.
create function :"schema".sensors_sketch_of("values" double precision[]) returns table (value_sketch integer[])
language sql immutable parallel safe
as $$
  select array_agg(c.bucket * 16384 + d * 4096 + (c.count >> 12 * d & 4095)::integer order by c.bucket, d)
    from (
      select case when v > 0 and v < 'infinity' then 40000 + (50 * ln(v))::integer
                  when v = 0 then 0
                  when v < 0 and v > '-infinity' then -40000 - (50 * ln(-v))::integer
                  when v = 'NaN' then 100001
                  when v > 0 then 100000
                  when v < 0 then -100000 end as bucket,
             count(*) as count
        from unnest("values") v
       group by 1
    ) c
   cross join generate_series(0, 3) d
   where c.count >> 12 * d & 4095 > 0
$$;

comment on function :"schema".sensors_sketch_of is
  'The sketch of some values, in a row of its own: read from FROM, it becomes part of the query.';

create function :"schema".sensors_sketch_added(elements integer[], sketch integer[]) returns integer[]
language plpgsql immutable parallel safe
as $$
declare
  merged integer[];
  most bigint;
begin
  -- What belongs together is put together each time that some thousands have come, and at the end, when PostgreSQL gives null.
  if (cardinality(elements) + cardinality(sketch)) >> 12 = cardinality(elements) >> 12 then
    return elements || sketch;
  end if;
  select array_agg(d.place * 4096 + least(d.sum, 4095)::integer), max(d.sum) into merged, most
    from (
      -- OFFSET 0 has the array taken apart row by row, without a copy of them all.
      select e >> 12 as place, sum(e & 4095) as sum from (select unnest(elements || sketch) as e offset 0) e group by 1 order by 1
    ) d;
  -- Where digits are to be carried, counts are put together instead: half as fast.
  if most > 4095 then
    select array_agg(c.bucket * 16384 + d * 4096 + (c.count >> 12 * d & 4095)::integer order by c.bucket, d) into merged
      from (
        select e >> 14 as bucket, sum((e & 4095)::bigint << 12 * (e >> 12 & 3))::bigint as count
          from unnest(elements || sketch) e
         group by 1
      ) c
     cross join generate_series(0, 3) d
     where c.count >> 12 * d & 4095 > 0;
  end if;
  return merged;
end;
$$;

comment on function :"schema".sensors_sketch_added is
  'The elements of two sketches, in whatever order; of one and null, its sketch.';

create aggregate :"schema".sensors_sketch_merge (integer[]) (
  sfunc = :"schema".sensors_sketch_added,
  stype = integer[],
  finalfunc = :"schema".sensors_sketch_added,
  finalfunc_extra,
  combinefunc = :"schema".sensors_sketch_added,
  initcond = '{}',
  parallel = safe
);

comment on aggregate :"schema".sensors_sketch_merge (integer[]) is
  'The sketch of all values of several sketches: the very one that counting those values at once gives.';

create function :"schema".sensors_sketch_percentile(
  sketch integer[], fraction double precision, value_min double precision default null, value_max double precision default null
) returns double precision
language plpgsql immutable parallel safe
as $$
declare
  total bigint := 0;
  seen bigint := 0;
  wanted bigint;
  element integer;
  bucket integer;
begin
  if sketch is null or sketch = '{}' or fraction is null then
    return null;
  end if;
  if fraction not between 0 and 1 then
    raise exception 'fraction % is not between 0 and 1', fraction using errcode = 'numeric_value_out_of_range';
  end if;
  foreach element in array sketch loop
    total := total + ((element & 4095)::bigint << 12 * (element >> 12 & 3));
  end loop;
  -- As percentile_disc counts.
  wanted := greatest(ceil(fraction * total), 1);
  if wanted = 1 and value_min is not null then
    return value_min;
  elsif wanted = total and value_max is not null then
    return value_max;
  end if;
  foreach element in array sketch loop
    seen := seen + ((element & 4095)::bigint << 12 * (element >> 12 & 3));
    exit when seen >= wanted;
  end loop;
  bucket := element >> 14;
  -- The middle by which the relative error is the same at either end of a bucket: tanh(1/100), a bit less than 1 %.
  return greatest(least(
    case when bucket = 0 then 0
         when abs(bucket) < 100000 then sign(bucket) * (exp((abs(bucket) - 40000) / 50.0::double precision) / cosh(0.01))
         when bucket = 100001 then 'NaN'
         else sign(bucket) * double precision 'infinity' end, value_max), value_min);
end;
$$;

comment on function :"schema".sensors_sketch_percentile is
  'The percentile of a sketch''s values, as percentile_disc takes it, within 1 % of itself; it lies between the extremes, and is one where it must be, if they are given.';

create view :"schema".sensors_sensoraggregate_hourly as
select a.device_id, a.hour, a.reading_count,
       a.value_sum,
       a.value_avg,
       a.value_min, a.value_max, k.value_sxx,
       case when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count)
            else sqrt(k.value_sxx / k.reading_count) end as value_stddev_pop,
       case when k.reading_count = 1 then null
            when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count - 1)
            else sqrt(k.value_sxx / (k.reading_count - 1)) end as value_stddev_samp,
       a.first_at, a.first_value, a.last_at, a.last_value,
       :"schema".sensors_sketch_percentile(a.value_sketch, 0.5, a.value_min, a.value_max) as value_p50,
       :"schema".sensors_sketch_percentile(a.value_sketch, 0.95, a.value_min, a.value_max) as value_p95,
       :"schema".sensors_sketch_percentile(a.value_sketch, 0.99, a.value_min, a.value_max) as value_p99,
       a.value_sketch
  from :"schema".sensors_sensoraggregate a
  cross join lateral (select a.reading_count::double precision as reading_count, a.value_sxx) k;

comment on view :"schema".sensors_sensoraggregate_hourly is
  'The hours, with the standard deviation of all readings (pop) and that estimated from them as a sample (samp), and percentiles.';

create view :"schema".sensors_sensoraggregate_daily as
select g.device_id, g.day, g.reading_count,
       k.value_sum,
       -- Dividing and taking roots so that nothing underflows, which is an error, too (22003).
       case when abs(k.value_sum) < double precision '1e-300' then 0 else k.value_sum / k.reading_count end as value_avg,
       g.value_min, g.value_max, k.value_sxx,
       case when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count)
            else sqrt(k.value_sxx / k.reading_count) end as value_stddev_pop,
       case when k.reading_count = 1 then null
            when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count - 1)
            else sqrt(k.value_sxx / (k.reading_count - 1)) end as value_stddev_samp,
       f.first_at, f.first_value, l.last_at, l.last_value,
       -- Sketches are merged only for who asks for one of these: PostgreSQL leaves the rest of a subquery's columns out.
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.5, g.value_min, g.value_max) as value_p50,
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.95, g.value_min, g.value_max) as value_p95,
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.99, g.value_min, g.value_max) as value_p99,
       g.value_sketch
  from (
    select a.device_id, (a.hour at time zone 'UTC')::date as day, sum(a.reading_count)::bigint as reading_count,
           min(a.value_min) as value_min, max(a.value_max) as value_max,
           min(a.hour) as first_hour, max(a.hour) as last_hour,
           :"schema".sensors_moments_merge(s.state) filter (where s.is_plain) as plain,
           :"schema".sensors_moments_merge(:"schema".sensors_moments_scaled(s.state)) filter (where not s.is_plain) as scaled,
           :"schema".sensors_sketch_merge(a.value_sketch) as value_sketch
      from :"schema".sensors_sensoraggregate a
      cross join lateral (
        select array[a.reading_count, a.value_sum, a.value_sxx]::double precision[] as state,
               (abs(a.value_sum) < double precision '1e130' or abs(a.value_sum) >= 'infinity') and a.value_sxx = 'NaN'
                 or abs(a.value_sum) < double precision '1e130' and a.value_sxx < double precision '1e260' as is_plain
      ) s
     group by a.device_id, (a.hour at time zone 'UTC')::date
  ) g
  cross join lateral (
    select case when g.scaled[1] = 0 then g.plain
                else :"schema".sensors_moments_unscaled(float8_combine(:"schema".sensors_moments_scaled(g.plain), g.scaled))
           end as moments
  ) m
  cross join lateral (select m.moments[1] as reading_count, m.moments[2] as value_sum, m.moments[3] as value_sxx) k
  -- Who asks for neither first nor last is spared these: the unique key lets PostgreSQL leave them out.
  left join :"schema".sensors_sensoraggregate f on f.device_id = g.device_id and f.hour = g.first_hour
  left join :"schema".sensors_sensoraggregate l on l.device_id = g.device_id and l.hour = g.last_hour;

comment on view :"schema".sensors_sensoraggregate_daily is
  'Days of UTC, merged from the hours. Conditions on device_id and day are applied to the hours, by the unique key and the BRIN index.';

create view :"schema".sensors_sensoraggregate_monthly as
select g.device_id, g.month, g.reading_count,
       k.value_sum,
       -- Dividing and taking roots so that nothing underflows, which is an error, too (22003).
       case when abs(k.value_sum) < double precision '1e-300' then 0 else k.value_sum / k.reading_count end as value_avg,
       g.value_min, g.value_max, k.value_sxx,
       case when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count)
            else sqrt(k.value_sxx / k.reading_count) end as value_stddev_pop,
       case when k.reading_count = 1 then null
            when k.value_sxx < double precision '1e-290' then sqrt(k.value_sxx) / sqrt(k.reading_count - 1)
            else sqrt(k.value_sxx / (k.reading_count - 1)) end as value_stddev_samp,
       f.first_at, f.first_value, l.last_at, l.last_value,
       -- Sketches are merged only for who asks for one of these: PostgreSQL leaves the rest of a subquery's columns out.
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.5, g.value_min, g.value_max) as value_p50,
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.95, g.value_min, g.value_max) as value_p95,
       :"schema".sensors_sketch_percentile(g.value_sketch, 0.99, g.value_min, g.value_max) as value_p99,
       g.value_sketch
  from (
    select a.device_id, :"schema".sensors_month_of(a.hour) as month, sum(a.reading_count)::bigint as reading_count,
           min(a.value_min) as value_min, max(a.value_max) as value_max,
           min(a.hour) as first_hour, max(a.hour) as last_hour,
           :"schema".sensors_moments_merge(s.state) filter (where s.is_plain) as plain,
           :"schema".sensors_moments_merge(:"schema".sensors_moments_scaled(s.state)) filter (where not s.is_plain) as scaled,
           :"schema".sensors_sketch_merge(a.value_sketch) as value_sketch
      from :"schema".sensors_sensoraggregate a
      cross join lateral (
        select array[a.reading_count, a.value_sum, a.value_sxx]::double precision[] as state,
               (abs(a.value_sum) < double precision '1e130' or abs(a.value_sum) >= 'infinity') and a.value_sxx = 'NaN'
                 or abs(a.value_sum) < double precision '1e130' and a.value_sxx < double precision '1e260' as is_plain
      ) s
     group by a.device_id, :"schema".sensors_month_of(a.hour)
  ) g
  cross join lateral (
    select case when g.scaled[1] = 0 then g.plain
                else :"schema".sensors_moments_unscaled(float8_combine(:"schema".sensors_moments_scaled(g.plain), g.scaled))
           end as moments
  ) m
  cross join lateral (select m.moments[1] as reading_count, m.moments[2] as value_sum, m.moments[3] as value_sxx) k
  -- Who asks for neither first nor last is spared these: the unique key lets PostgreSQL leave them out.
  left join :"schema".sensors_sensoraggregate f on f.device_id = g.device_id and f.hour = g.first_hour
  left join :"schema".sensors_sensoraggregate l on l.device_id = g.device_id and l.hour = g.last_hour;

comment on view :"schema".sensors_sensoraggregate_monthly is
  'Months of UTC, by their first day, merged from the hours. Conditions on device_id and month are applied to the hours.';
