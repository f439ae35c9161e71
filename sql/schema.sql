-- Makes the migrated schema at once, in the first schema of the search_path: for reading and comparing.
-- Strongest lock: none on a table that exists already. May run in a transaction.
-- A test compares it with what the migrations make, and writes it anew when run with UPDATE_SCHEMA=1.

create function sensors_moments_or_nan("values" double precision[])
returns double precision[]
language plpgsql
immutable
strict
set search_path to pg_catalog, pg_temp
as $$
declare
  state double precision[] := '{0,0,0}';
  total double precision;
  value double precision;
begin
  foreach value in array "values" loop
    begin
      state := float8_accum(state, value);
    exception when numeric_value_out_of_range then
      begin
        total := state[2] + value;
      exception when numeric_value_out_of_range then
        total := 'NaN';
      end;
      state := array[state[1] + 1, total, 'NaN'];
    end;
  end loop;
  return state;
end;
$$;
comment on function sensors_moments_or_nan("values" double precision[]) is 'The same where they overflow (22003): a sum that does is NaN.';

create function sensors_moments_scaled(state double precision[])
returns double precision[]
language sql
immutable
parallel safe
as $$
  select array[
    state[1],
    case when abs(state[2]) < 1e-90 then 0 else state[2] * 2.0::double precision ^ -700 end,
    case when abs(state[2]) >= 'infinity' then 'NaN'
         when state[3] < 1e120 then 0
         else state[3] * 2.0::double precision ^ -700 * 2.0::double precision ^ -700 end
  ]
$$;
comment on function sensors_moments_scaled(state double precision[]) is 'A state with its values times 2^-700, so that none can overflow. What is left out is less than the rounding of what is not.';

create function sensors_moments_unscaled(state double precision[])
returns double precision[]
language sql
immutable
parallel safe
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
comment on function sensors_moments_unscaled(state double precision[]) is 'The state that sensors_moments_scaled was made of; what has become too large is NaN.';

create function sensors_month_of(hour timestamp with time zone)
returns date
language sql
immutable
parallel safe
as $$
  -- The earliest month is not whole, and its first day no date (22008).
  select case when hour at time zone 'UTC' < timestamp '4714-12-01 BC' and hour > '-infinity' then date '4714-11-24 BC'
              else date_trunc('month', hour at time zone 'UTC')::date end
$$;
comment on function sensors_month_of(hour timestamp with time zone) is 'The first day of an instant''s month, in UTC.';

create function sensors_sensoraggregate_unsettled(readings regclass, since timestamp with time zone, until timestamp with time zone, device bigint, OUT ranges tstzmultirange, OUT devices bigint[], OUT hours timestamp with time zone[])
returns record
language plpgsql
stable
security definer
set search_path to pg_catalog, pg_temp
as $$
declare
  asked constant tstzmultirange := tstzmultirange(tstzrange(since, until));
  source bigint;
  frozen tstzmultirange;
begin
  ranges := asked;
  devices := '{}';
  hours := '{}';
  if to_regclass('sensordb.aggregate_source') is null then
    return;
  end if;
  select s.id into source from sensordb.aggregate_source s where s.readings = sensors_sensoraggregate_unsettled.readings;
  if source is null then
    return;
  end if;
  ranges := asked * sensordb.unsettled_ranges(source);
  if exists (
    select from sensordb.aggregate_change c
     where c.source_id = source and asked @> c.hour and not ranges @> c.hour and (device is null or c.device_id = device)
  ) then
    frozen := sensordb.retired_ranges(source);
    select coalesce(array_agg(d.device_id), '{}'), coalesce(array_agg(d.hour), '{}') into devices, hours
      from (
        select c.device_id, c.hour from sensordb.aggregate_change c
         where c.source_id = source and asked @> c.hour and not ranges @> c.hour and not frozen @> c.hour
           and (device is null or c.device_id = device)
         group by c.device_id, c.hour
      ) d;
  end if;
end;
$$;
comment on function sensors_sensoraggregate_unsettled(readings regclass, since timestamp with time zone, until timestamp with time zone, device bigint, OUT ranges tstzmultirange, OUT devices bigint[], OUT hours timestamp with time zone[]) is 'Which hours are to be counted anew, as a whole and of single devices; as the owner, who may read what sensordb knows.';

create function sensors_sketch_added(elements integer[], sketch integer[])
returns integer[]
language plpgsql
immutable
parallel safe
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
comment on function sensors_sketch_added(elements integer[], sketch integer[]) is 'The elements of two sketches, in whatever order; of one and null, its sketch.';

create function sensors_sketch_of("values" double precision[])
returns TABLE(value_sketch integer[])
language sql
immutable
parallel safe
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
comment on function sensors_sketch_of("values" double precision[]) is 'The sketch of some values, in a row of its own: read from FROM, it becomes part of the query.';

create function sensors_sketch_percentile(sketch integer[], fraction double precision, value_min double precision DEFAULT NULL::double precision, value_max double precision DEFAULT NULL::double precision)
returns double precision
language plpgsql
immutable
parallel safe
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
comment on function sensors_sketch_percentile(sketch integer[], fraction double precision, value_min double precision, value_max double precision) is 'The percentile of a sketch''s values, as percentile_disc takes it, within 1 % of itself; it lies between the extremes, and is one where it must be, if they are given.';

create aggregate sensors_moments(double precision) (
  sfunc = float8_accum,
  stype = double precision[],
  combinefunc = float8_combine,
  initcond = '{0,0,0}',
  parallel = safe
);
comment on aggregate sensors_moments(double precision) is 'Count, sum and centred sum of squares in one pass, by the transition function of PostgreSQL''s own variance.';

create aggregate sensors_moments_merge(double precision[]) (
  sfunc = float8_combine,
  stype = double precision[],
  combinefunc = float8_combine,
  initcond = '{0,0,0}',
  parallel = safe
);
comment on aggregate sensors_moments_merge(double precision[]) is 'Merges {reading_count, value_sum, value_sxx} of several hours; fails (22003) where they overflow.';

create aggregate sensors_sketch_merge(integer[]) (
  sfunc = sensors_sketch_added,
  stype = integer[],
  finalfunc = sensors_sketch_added,
  finalfunc_extra,
  combinefunc = sensors_sketch_added,
  initcond = '{}',
  parallel = safe
);
comment on aggregate sensors_sketch_merge(integer[]) is 'The sketch of all values of several sketches: the very one that counting those values at once gives.';

create table orders_order (
  id bigint generated by default as identity not null,
  number text not null,
  customer_id bigint not null,
  status text default 'pending'::text not null,
  currency character(3) not null,
  total_amount numeric(12,2) default 0 not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint orders_order_pkey PRIMARY KEY (id),
  constraint orders_order_number_key UNIQUE (number),
  constraint orders_order_currency_check CHECK (currency ~ '^[A-Z]{3}$'::text),
  constraint orders_order_number_check CHECK (number <> ''::text),
  constraint orders_order_status_check CHECK (status = ANY (ARRAY['pending'::text, 'paid'::text, 'shipped'::text, 'delivered'::text, 'cancelled'::text, 'refunded'::text])),
  constraint orders_order_total_amount_check CHECK (total_amount >= 0::numeric AND total_amount < 'NaN'::numeric)
);
CREATE INDEX orders_order_customer_id_idx ON orders_order USING btree (customer_id);
CREATE INDEX orders_order_status_idx ON orders_order USING btree (status);
comment on table orders_order is 'Customer orders.';
comment on column orders_order.number is 'The number the customer knows the order by.';
comment on column orders_order.customer_id is 'Customers are kept outside this schema.';
comment on column orders_order.currency is 'ISO 4217 code; it has no default, for a guess would cost money.';
comment on column orders_order.updated_at is 'Set by the application (auto_now in Django); the default serves inserts, no trigger touches updates.';

create table orders_orderlineitem (
  id bigint generated by default as identity not null,
  order_id bigint not null,
  line_no integer not null,
  sku text not null,
  description text default ''::text not null,
  quantity integer not null,
  unit_price numeric(12,2) not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint orders_orderlineitem_pkey PRIMARY KEY (id),
  constraint orders_orderlineitem_order_id_line_no_key UNIQUE (order_id, line_no),
  constraint orders_orderlineitem_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders_order(id),
  constraint orders_orderlineitem_line_no_check CHECK (line_no > 0),
  constraint orders_orderlineitem_quantity_check CHECK (quantity > 0),
  constraint orders_orderlineitem_sku_check CHECK (sku <> ''::text),
  constraint orders_orderlineitem_unit_price_check CHECK (unit_price >= 0::numeric AND unit_price < 'NaN'::numeric)
);
comment on table orders_orderlineitem is 'Items of an order, one for each line.';
comment on column orders_orderlineitem.line_no is 'Place of the line in its order, from 1.';
comment on column orders_orderlineitem.unit_price is 'Price of one, in the currency of the order.';

create table orders_payment (
  id bigint generated by default as identity not null,
  order_id bigint not null,
  provider text not null,
  provider_reference text,
  status text default 'pending'::text not null,
  currency character(3) not null,
  amount numeric(12,2) not null,
  paid_at timestamp with time zone,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint orders_payment_pkey PRIMARY KEY (id),
  constraint orders_payment_provider_provider_reference_key UNIQUE (provider, provider_reference),
  constraint orders_payment_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders_order(id),
  constraint orders_payment_amount_check CHECK (amount >= 0::numeric AND amount < 'NaN'::numeric),
  constraint orders_payment_currency_check CHECK (currency ~ '^[A-Z]{3}$'::text),
  constraint orders_payment_provider_check CHECK (provider <> ''::text),
  constraint orders_payment_provider_reference_check CHECK (provider_reference <> ''::text),
  constraint orders_payment_status_check CHECK (status = ANY (ARRAY['pending'::text, 'authorized'::text, 'captured'::text, 'failed'::text, 'refunded'::text]))
);
CREATE INDEX orders_payment_order_id_idx ON orders_payment USING btree (order_id);
comment on table orders_payment is 'Payments of an order, the failed and refunded ones included.';
comment on column orders_payment.provider_reference is 'The payment in the words of its provider, which makes a repeated notification harmless; null until there is one.';
comment on column orders_payment.paid_at is 'When the money was captured; null until then.';

create table sensors_device (
  id bigint generated by default as identity not null,
  "name" text not null,
  serial_number text not null,
  kind text default ''::text not null,
  unit text default ''::text not null,
  "location" text default ''::text not null,
  metadata jsonb default '{}'::jsonb not null,
  is_active boolean default true not null,
  created_at timestamp with time zone default now() not null,
  updated_at timestamp with time zone default now() not null,
  constraint sensors_device_pkey PRIMARY KEY (id),
  constraint sensors_device_serial_number_key UNIQUE (serial_number)
);
comment on table sensors_device is 'Sensor devices; one row for each.';
comment on column sensors_device.kind is 'What the device measures, such as temperature.';
comment on column sensors_device.unit is 'Unit of every reading of the device.';
comment on column sensors_device.updated_at is 'Set by the application (auto_now in Django); the default serves inserts, no trigger touches updates.';

create table sensors_sensoraggregate (
  id bigint generated by default as identity not null,
  device_id bigint not null,
  "hour" timestamp with time zone not null,
  reading_count bigint not null,
  value_sum double precision not null,
  value_min double precision not null,
  value_max double precision not null,
  value_sxx double precision not null,
  first_at timestamp with time zone not null,
  first_value double precision not null,
  last_at timestamp with time zone not null,
  last_value double precision not null,
  value_avg double precision generated always as (CASE WHEN abs(value_sum) < '1e-300'::double precision THEN 0::double precision ELSE value_sum / reading_count::double precision END) stored not null,
  value_sketch integer[] not null,
  constraint sensors_sensoraggregate_pkey PRIMARY KEY (id),
  constraint sensors_sensoraggregate_device_id_hour_key UNIQUE (device_id, hour),
  constraint sensors_sensoraggregate_first_last_check CHECK (first_at <= last_at AND date_trunc('hour'::text, (first_at AT TIME ZONE 'UTC'::text)) = (hour AT TIME ZONE 'UTC'::text) AND date_trunc('hour'::text, (last_at AT TIME ZONE 'UTC'::text)) = (hour AT TIME ZONE 'UTC'::text)),
  constraint sensors_sensoraggregate_hour_check CHECK (date_trunc('hour'::text, (hour AT TIME ZONE 'UTC'::text)) = (hour AT TIME ZONE 'UTC'::text)),
  constraint sensors_sensoraggregate_reading_count_check CHECK (reading_count > 0),
  constraint sensors_sensoraggregate_value_check CHECK (value_min <= value_max AND value_sxx >= 0::double precision)
);
CREATE INDEX sensors_sensoraggregate_day_brin_idx ON sensors_sensoraggregate USING brin (((hour AT TIME ZONE 'UTC'::text)::date), sensors_month_of(hour)) WITH (autosummarize='on');
CREATE INDEX sensors_sensoraggregate_hour_idx ON sensors_sensoraggregate USING btree (hour);
comment on table sensors_sensoraggregate is 'Readings of one device in one hour, as state from which longer periods are derived exactly.';
comment on column sensors_sensoraggregate."hour" is 'Start of the hour, a whole hour of UTC.';
comment on column sensors_sensoraggregate.value_sxx is 'Sum of the squared distances from the average; the standard deviation comes from it.';
comment on column sensors_sensoraggregate.first_value is 'Value of the first reading; of readings at the same instant, that with the lowest id.';
comment on column sensors_sensoraggregate.last_value is 'Value of the last reading; of readings at the same instant, that with the highest id.';
comment on column sensors_sensoraggregate.value_avg is 'Average, derived; it cannot be written.';
comment on column sensors_sensoraggregate.value_sketch is 'How many values fall into each of the buckets that are 1 % wide to either side; percentiles come from it, by sensors_sketch_percentile.';
comment on index sensors_sensoraggregate_day_brin_idx is 'Its columns are day and month of the views, letter by letter.';

create sequence sensors_sensorreading_id_seq as bigint increment by 1 start with 1 cache 1;
create table sensors_sensorreading (
  id bigint default nextval('sensors_sensorreading_id_seq'::regclass) not null,
  device_id bigint not null,
  "timestamp" timestamp with time zone not null,
  "value" double precision not null,
  constraint sensors_sensorreading_pkey PRIMARY KEY (id, "timestamp"),
  constraint sensors_sensorreading_device_id_fkey FOREIGN KEY (device_id) REFERENCES sensors_device(id)
) partition by RANGE ("timestamp");
alter sequence sensors_sensorreading_id_seq owned by sensors_sensorreading.id;
CREATE INDEX reading_device_timestamp_idx ON sensors_sensorreading USING btree (device_id, "timestamp");
CREATE INDEX reading_timestamp_brin_idx ON sensors_sensorreading USING brin ("timestamp") WITH (autosummarize='on');
comment on table sensors_sensorreading is 'Raw readings, partitioned by time; times are UTC instants.';
comment on column sensors_sensorreading.id is 'Unique by its sequence alone: the primary key of a partitioned table must hold the partition key.';

create table sensors_sensorreading_default partition of sensors_sensorreading DEFAULT;
comment on table sensors_sensorreading_default is 'Catches readings that no other partition covers, so that a bad clock never fails a batch.';

create function sensors_sensoraggregate_live(since timestamp with time zone DEFAULT NULL::timestamp with time zone, until timestamp with time zone DEFAULT NULL::timestamp with time zone, device_id bigint DEFAULT NULL::bigint, readings regclass DEFAULT 'sensors_sensorreading'::regclass)
returns SETOF sensors_sensoraggregate
language plpgsql
stable
set search_path to pg_catalog, pg_temp
set "TimeZone" to 'UTC'
set "DateStyle" to 'ISO, MDY'
set jit to 'off'
as $$
#variable_conflict use_column
declare
  wanted constant bigint := sensors_sensoraggregate_live.device_id;
  schema_name constant text := (select format('%I', n.nspname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                                 where c.oid = readings);
  only_wanted constant text := case when wanted is null then '' else format(' and r.device_id = %s', wanted) end;
  -- What is counted, and the rest of a row made of it. The state of values that might overflow is summed in the slow way.
  counted constant text := format($sql$
    count(*) as reading_count, min(r.value) as value_min, max(r.value) as value_max,
    min(r."timestamp") as first_at, max(r."timestamp") as last_at,
    array_agg(r.value order by r."timestamp", r.id) as vals,
    %s.sensors_moments(case when abs(r.value) < 1e130 or abs(r.value) >= 'infinity' then r.value end) as moments
    from %s r where true %s$sql$, schema_name, readings, only_wanted);
  as_row constant text := format($sql$
    select null::bigint, g.device_id, g.hour, g.reading_count, m.moments[2], g.value_min, g.value_max, m.moments[3],
           g.first_at, g.vals[1], g.last_at, g.vals[g.reading_count::int],
           case when abs(m.moments[2]) < 1e-300 then 0 else m.moments[2] / g.reading_count end, k.value_sketch
      from g cross join lateral %1$s.sensors_sketch_of(g.vals) k cross join lateral (
        select case when g.moments[1] = g.reading_count then g.moments else %1$s.sensors_moments_or_nan(g.vals) end as moments offset 0
      ) m$sql$, schema_name);
  unsettled record;
  part record;
  dirty record;
  piece tstzrange;
  touched tstzmultirange;
begin
  -- Hours that begin within: those from the next whole hour on.
  since := case when since = date_trunc('hour', since) then since
                when since >= '294276-12-31 23:00+00' then 'infinity' else date_trunc('hour', since) + interval '1 hour' end;
  until := case when until = date_trunc('hour', until) then until
                when until >= '294276-12-31 23:00+00' then 'infinity' else date_trunc('hour', until) + interval '1 hour' end;
  if since >= until then
    return;
  end if;
  execute format('select * from %s.sensors_sensoraggregate_unsettled($1, $2, $3, $4)', schema_name)
     into unsettled using readings, since, until, wanted;

  return query execute format($sql$
      select r.id, r.device_id, r.hour, r.reading_count, r.value_sum, r.value_min, r.value_max, r.value_sxx,
             r.first_at, r.first_value, r.last_at, r.last_value, r.value_avg, r.value_sketch
        from %s.sensors_sensoraggregate r
       where not $1 @> r.hour
         and not exists (select from unnest($2, $3) d (device_id, hour) where d.device_id = r.device_id and d.hour = r.hour)$sql$,
      schema_name)
    || coalesce(' and r.hour >= ' || quote_literal(since), '') || coalesce(' and r.hour < ' || quote_literal(until), '')
    || only_wanted
    using unsettled.ranges, unsettled.devices, unsettled.hours;

  if unsettled.ranges = '{}' and unsettled.hours = '{}' then
    return;
  end if;

  -- Some hundred partitions at a time: each statement has literal bounds, since PostgreSQL locks every partition that it cannot
  -- leave out by those when it plans, with all its indexes, and its lock table is finite (53200).
  for part in
    with recursive tree (root, oid) as (
      select i.inhrelid, i.inhrelid from pg_inherits i where i.inhparent = readings and not i.inhdetachpending
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    ),
    root as (
      select t.root, array_agg(t.oid) as members,
             (select pg_get_expr(c.relpartbound, 0) from pg_class c where c.oid = t.root) as bound
        from tree t group by t.root
    ),
    leaf as (
      select l.* from (
        select r.root, r.members, coalesce(substring(r.bound from $re$FROM \('([^']*)'\)$re$)::timestamptz, '-infinity') as lower,
               coalesce(substring(r.bound from $re$TO \('([^']*)'\)$re$)::timestamptz, 'infinity') as upper, r.bound = 'DEFAULT' as is_default
          from root r
      ) l
       where l.is_default or (since is null or l.upper > since) and (until is null or l.lower < until)
    ),
    numbered as (
      select l.*, sum(cardinality(l.members)) over (order by l.lower, l.root) / 100 as number from leaf l where not l.is_default
    ),
    edge as (
      select distinct date_trunc('hour', min(n.lower)) as lower from numbered n where n.number > 0 group by n.number
      union select null
    ),
    span as (
      select tstzrange(e.lower, lead(e.lower) over (order by e.lower nulls first)) as span from edge e
    )
    select s.span, array_agg(m) filter (where m is not null) as members,
           array_agg(l.lower) filter (where m is not null) as lowers, array_agg(l.upper) filter (where m is not null) as uppers
      from span s
      left join leaf l on l.is_default or tstzrange(l.lower, l.upper) && s.span
      left join lateral unnest(l.members) m on true
     group by s.span
     order by s.span
  loop
    touched := unsettled.ranges * tstzmultirange(part.span);
    select coalesce(array_agg(d.device_id), '{}') as devices, coalesce(array_agg(d.hour), '{}') as hours,
           min(d.hour) as lower, max(d.hour) + interval '59 minutes 59.999999 seconds' as last into dirty
      from unnest(unsettled.devices, unsettled.hours) d (device_id, hour) where part.span @> d.hour;
    continue when touched = '{}' and dirty.hours = '{}';
    begin
      for piece in select p from unnest(touched) p loop
        return query execute
          'with g as (select r.device_id, date_trunc(''hour'', r."timestamp") as hour,' || counted
          || coalesce(' and r."timestamp" >= ' || quote_literal(lower(piece)), '')
          || coalesce(' and r."timestamp" < ' || quote_literal(upper(piece)), '') || ' group by 1, 2)' || as_row;
      end loop;
      if dirty.hours <> '{}' then
        return query execute
          'with g as (select d.device_id, d.hour, c.* from unnest($1, $2) d (device_id, hour) cross join lateral (select' || counted
          || ' and r."timestamp" >= ' || quote_literal(dirty.lower) || ' and r."timestamp" <= ' || quote_literal(dirty.last)
          || ' and r.device_id = d.device_id and r."timestamp" >= d.hour'
          || ' and r."timestamp" <= d.hour + interval ''59 minutes 59.999999 seconds'') c where c.reading_count > 0)' || as_row
          using dirty.devices, dirty.hours;
        touched := touched + (
          select range_agg(tstzrange(h, h + interval '59 minutes 59.999999 seconds', '[]')) from unnest(dirty.hours) h);
      end if;
      -- Which partitions there are, and in which files, PostgreSQL looks up as of now, whatever the snapshot of the rows.
      if exists (
        select from unnest(part.members, part.lowers, part.uppers) m (oid, lower, upper)
          join pg_class c on c.oid = m.oid
         where tstzrange(m.lower, m.upper) && any (select t from unnest(touched) t)
           and (pg_relation_filenode(m.oid) is distinct from nullif(c.relfilenode, 0)
                or not exists (select from pg_partition_ancestors(m.oid) a where a = readings))
      ) then
        raise exception 'a partition of % left it, or was truncated, after this snapshot was taken', readings
          using errcode = 'serialization_failure', hint = 'Do it again, in a new transaction.';
      end if;
      -- The end of a subtransaction that fails gives its locks back; rows that were returned stay.
      raise exception using errcode = 'SDB00', message = 'counted';
    exception when sqlstate 'SDB00' then
      null;
    end;
  end loop;
end;
$$;
comment on function sensors_sensoraggregate_live(since timestamp with time zone, until timestamp with time zone, device_id bigint, readings regclass) is 'The hourly aggregates from one instant until before another, right as of the snapshot: stored ones where nothing has changed since, all others counted from the readings (their id is null). Call it with as narrow a time as you can, and the device if it is one.';

create view sensors_sensoraggregate_daily as
 SELECT g.device_id,
    g.day,
    g.reading_count,
    k.value_sum,
        CASE
            WHEN abs(k.value_sum) < '1e-300'::double precision THEN 0::double precision
            ELSE k.value_sum / k.reading_count
        END AS value_avg,
    g.value_min,
    g.value_max,
    k.value_sxx,
        CASE
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count)
            ELSE sqrt(k.value_sxx / k.reading_count)
        END AS value_stddev_pop,
        CASE
            WHEN k.reading_count = 1::double precision THEN NULL::double precision
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count - 1::double precision)
            ELSE sqrt(k.value_sxx / (k.reading_count - 1::double precision))
        END AS value_stddev_samp,
    f.first_at,
    f.first_value,
    l.last_at,
    l.last_value,
    sensors_sketch_percentile(g.value_sketch, 0.5::double precision, g.value_min, g.value_max) AS value_p50,
    sensors_sketch_percentile(g.value_sketch, 0.95::double precision, g.value_min, g.value_max) AS value_p95,
    sensors_sketch_percentile(g.value_sketch, 0.99::double precision, g.value_min, g.value_max) AS value_p99,
    g.value_sketch
   FROM ( SELECT a.device_id,
            (a.hour AT TIME ZONE 'UTC'::text)::date AS day,
            sum(a.reading_count)::bigint AS reading_count,
            min(a.value_min) AS value_min,
            max(a.value_max) AS value_max,
            min(a.hour) AS first_hour,
            max(a.hour) AS last_hour,
            sensors_moments_merge(s.state) FILTER (WHERE s.is_plain) AS plain,
            sensors_moments_merge(sensors_moments_scaled(s.state)) FILTER (WHERE NOT s.is_plain) AS scaled,
            sensors_sketch_merge(a.value_sketch) AS value_sketch
           FROM sensors_sensoraggregate a
             CROSS JOIN LATERAL ( SELECT ARRAY[a.reading_count::double precision, a.value_sum, a.value_sxx] AS state,
                    (abs(a.value_sum) < '1e+130'::double precision OR abs(a.value_sum) >= 'Infinity'::double precision) AND a.value_sxx = 'NaN'::double precision OR abs(a.value_sum) < '1e+130'::double precision AND a.value_sxx < '1e+260'::double precision AS is_plain) s
          GROUP BY a.device_id, ((a.hour AT TIME ZONE 'UTC'::text)::date)) g
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN g.scaled[1] = 0::double precision THEN g.plain
                    ELSE sensors_moments_unscaled(float8_combine(sensors_moments_scaled(g.plain), g.scaled))
                END AS moments) m
     CROSS JOIN LATERAL ( SELECT m.moments[1] AS reading_count,
            m.moments[2] AS value_sum,
            m.moments[3] AS value_sxx) k
     LEFT JOIN sensors_sensoraggregate f ON f.device_id = g.device_id AND f.hour = g.first_hour
     LEFT JOIN sensors_sensoraggregate l ON l.device_id = g.device_id AND l.hour = g.last_hour;
comment on view sensors_sensoraggregate_daily is 'Days of UTC, merged from the hours. Conditions on device_id and day are applied to the hours, by the unique key and the BRIN index.';

create view sensors_sensoraggregate_hourly as
 SELECT a.device_id,
    a.hour,
    a.reading_count,
    a.value_sum,
    a.value_avg,
    a.value_min,
    a.value_max,
    k.value_sxx,
        CASE
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count)
            ELSE sqrt(k.value_sxx / k.reading_count)
        END AS value_stddev_pop,
        CASE
            WHEN k.reading_count = 1::double precision THEN NULL::double precision
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count - 1::double precision)
            ELSE sqrt(k.value_sxx / (k.reading_count - 1::double precision))
        END AS value_stddev_samp,
    a.first_at,
    a.first_value,
    a.last_at,
    a.last_value,
    sensors_sketch_percentile(a.value_sketch, 0.5::double precision, a.value_min, a.value_max) AS value_p50,
    sensors_sketch_percentile(a.value_sketch, 0.95::double precision, a.value_min, a.value_max) AS value_p95,
    sensors_sketch_percentile(a.value_sketch, 0.99::double precision, a.value_min, a.value_max) AS value_p99,
    a.value_sketch
   FROM sensors_sensoraggregate a
     CROSS JOIN LATERAL ( SELECT a.reading_count::double precision AS reading_count,
            a.value_sxx) k;
comment on view sensors_sensoraggregate_hourly is 'The hours, with the standard deviation of all readings (pop) and that estimated from them as a sample (samp), and percentiles.';

create view sensors_sensoraggregate_monthly as
 SELECT g.device_id,
    g.month,
    g.reading_count,
    k.value_sum,
        CASE
            WHEN abs(k.value_sum) < '1e-300'::double precision THEN 0::double precision
            ELSE k.value_sum / k.reading_count
        END AS value_avg,
    g.value_min,
    g.value_max,
    k.value_sxx,
        CASE
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count)
            ELSE sqrt(k.value_sxx / k.reading_count)
        END AS value_stddev_pop,
        CASE
            WHEN k.reading_count = 1::double precision THEN NULL::double precision
            WHEN k.value_sxx < '1e-290'::double precision THEN sqrt(k.value_sxx) / sqrt(k.reading_count - 1::double precision)
            ELSE sqrt(k.value_sxx / (k.reading_count - 1::double precision))
        END AS value_stddev_samp,
    f.first_at,
    f.first_value,
    l.last_at,
    l.last_value,
    sensors_sketch_percentile(g.value_sketch, 0.5::double precision, g.value_min, g.value_max) AS value_p50,
    sensors_sketch_percentile(g.value_sketch, 0.95::double precision, g.value_min, g.value_max) AS value_p95,
    sensors_sketch_percentile(g.value_sketch, 0.99::double precision, g.value_min, g.value_max) AS value_p99,
    g.value_sketch
   FROM ( SELECT a.device_id,
            sensors_month_of(a.hour) AS month,
            sum(a.reading_count)::bigint AS reading_count,
            min(a.value_min) AS value_min,
            max(a.value_max) AS value_max,
            min(a.hour) AS first_hour,
            max(a.hour) AS last_hour,
            sensors_moments_merge(s.state) FILTER (WHERE s.is_plain) AS plain,
            sensors_moments_merge(sensors_moments_scaled(s.state)) FILTER (WHERE NOT s.is_plain) AS scaled,
            sensors_sketch_merge(a.value_sketch) AS value_sketch
           FROM sensors_sensoraggregate a
             CROSS JOIN LATERAL ( SELECT ARRAY[a.reading_count::double precision, a.value_sum, a.value_sxx] AS state,
                    (abs(a.value_sum) < '1e+130'::double precision OR abs(a.value_sum) >= 'Infinity'::double precision) AND a.value_sxx = 'NaN'::double precision OR abs(a.value_sum) < '1e+130'::double precision AND a.value_sxx < '1e+260'::double precision AS is_plain) s
          GROUP BY a.device_id, (sensors_month_of(a.hour))) g
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN g.scaled[1] = 0::double precision THEN g.plain
                    ELSE sensors_moments_unscaled(float8_combine(sensors_moments_scaled(g.plain), g.scaled))
                END AS moments) m
     CROSS JOIN LATERAL ( SELECT m.moments[1] AS reading_count,
            m.moments[2] AS value_sum,
            m.moments[3] AS value_sxx) k
     LEFT JOIN sensors_sensoraggregate f ON f.device_id = g.device_id AND f.hour = g.first_hour
     LEFT JOIN sensors_sensoraggregate l ON l.device_id = g.device_id AND l.hour = g.last_hour;
comment on view sensors_sensoraggregate_monthly is 'Months of UTC, by their first day, merged from the hours. Conditions on device_id and month are applied to the hours.';
