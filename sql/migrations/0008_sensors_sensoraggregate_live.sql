-- Creates the function that gives the hourly aggregates as they are at this very moment.
-- Strongest lock: none on a table that exists already. Runs in a transaction.

-- Of the default value below, which PostgreSQL keeps as an OID: the function finds its tables by that, whatever the search_path.
set local search_path to :"schema";

-- The same as counts the stored hours, under a name that every role may use: nobody has rights on schema sensordb.
create aggregate :"schema".sensors_moments (double precision) (
  sfunc = float8_accum,
  stype = double precision[],
  combinefunc = float8_combine,
  initcond = '{0,0,0}',
  parallel = safe
);

comment on aggregate :"schema".sensors_moments (double precision) is
  'Count, sum and centred sum of squares in one pass, by the transition function of PostgreSQL''s own variance.';

create function :"schema".sensors_moments_or_nan("values" double precision[]) returns double precision[]
language plpgsql immutable strict
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

comment on function :"schema".sensors_moments_or_nan is
  'The same where they overflow (22003): a sum that does is NaN.';

create function :"schema".sensors_sensoraggregate_unsettled(
  readings regclass, since timestamptz, until timestamptz, device bigint,
  out ranges tstzmultirange, out devices bigint[], out hours timestamptz[]
)
language plpgsql stable security definer
-- The owner reads sensordb's own tables: no name may lead elsewhere.
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

comment on function :"schema".sensors_sensoraggregate_unsettled is
  'Which hours are to be counted anew, as a whole and of single devices; as the owner, who may read what sensordb knows.';

create function :"schema".sensors_sensoraggregate_live(
  since timestamptz default null, until timestamptz default null, device_id bigint default null,
  readings regclass default 'sensors_sensorreading'
) returns setof :"schema".sensors_sensoraggregate
language plpgsql stable
set search_path to pg_catalog, pg_temp
-- Bounds are written as text into the statements below.
set timezone to 'UTC'
set datestyle to 'ISO, MDY'
set jit to off
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

comment on function :"schema".sensors_sensoraggregate_live is
  'The hourly aggregates from one instant until before another, right as of the snapshot: stored ones where nothing has changed since, all others counted from the readings (their id is null). Call it with as narrow a time as you can, and the device if it is one.';
