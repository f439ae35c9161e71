-- Makes what keeps hourly aggregates exact: the log of late changes, and what is known of the leaves. Lock: none, all is new. May run in a transaction.
create table sensordb.aggregate_source (
  id bigint primary key,
  readings regclass not null unique,
  aggregates regclass not null,
  gate regclass not null,
  clean_until timestamptz not null,
  set_up_at timestamptz not null default clock_timestamp(),
  check (date_trunc('hour', clean_until at time zone 'UTC') = clean_until at time zone 'UTC')
);

comment on table sensordb.aggregate_source is
  'Tables whose readings are aggregated by the hour.';

comment on column sensordb.aggregate_source.id is
  'The OID of the table when it was set up: the triggers carry it, and it stays after a restore.';

comment on column sensordb.aggregate_source.gate is
  'A sequence, since those are read outside of snapshots: its value is the hour since 1970 before which the triggers log every change.';

comment on column sensordb.aggregate_source.clean_until is
  'Changes before it are all logged. What lies after it is counted anew by each refresh. Never later than the gate.';

create table sensordb.aggregate_leaf (
  source_id bigint not null references sensordb.aggregate_source on delete cascade,
  leaf_oid regclass not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  is_default boolean not null,
  members regclass[] not null,
  fingerprint text,
  primary key (source_id, leaf_oid)
);

comment on table sensordb.aggregate_leaf is
  'Partitions whose rows are in the aggregates, or in a pending range, or logged. One that is not here, or that looks otherwise now, is to be counted.';

comment on column sensordb.aggregate_leaf.leaf_oid is
  'A regclass, as all that names a table here: a dump writes its name, and the restored row means the restored table.';

comment on column sensordb.aggregate_leaf.members is
  'The partition and all those below it.';

comment on column sensordb.aggregate_leaf.fingerprint is
  'The files and triggers of its members: TRUNCATE, detach and attach, and disabled triggers change it. Null: not every change is logged.';

create table sensordb.aggregate_retired (
  source_id bigint not null references sensordb.aggregate_source on delete cascade,
  leaf_oid regclass not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  is_default boolean not null,
  uncounted tstzmultirange not null default '{}',
  retired_at timestamptz not null default clock_timestamp(),
  primary key (source_id, leaf_oid, lower_bound)
);

comment on table sensordb.aggregate_retired is
  'Ranges whose aggregates stand, and whose raw rows went with a leaf: they are not touched any more.';

comment on column sensordb.aggregate_retired.uncounted is
  'The hours of it that were still to be counted when the leaf went: before it is dropped, its rows are compared with the aggregates.';

create table sensordb.aggregate_pending (
  id bigint generated always as identity primary key,
  source_id bigint not null references sensordb.aggregate_source on delete cascade,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  check (lower_bound < upper_bound)
);

comment on table sensordb.aggregate_pending is
  'Ranges that are to be counted as a whole: history, leaves that were attached or truncated. A row goes in the transaction that counts it.';

create table sensordb.aggregate_change (
  source_id bigint not null,
  device_id bigint not null,
  hour timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

comment on table sensordb.aggregate_change is
  'Device-hours that were changed after they had been counted. Without a key, so that no writer waits for another.';

create table sensordb.aggregate_skipped (
  source_id bigint not null references sensordb.aggregate_source on delete cascade,
  device_id bigint not null,
  hour timestamptz not null,
  primary key (source_id, device_id, hour)
);

comment on table sensordb.aggregate_skipped is
  'Device-hours that were changed after the leaf of their other rows had gone: their aggregates stand as they were.';

create aggregate sensordb.moments (double precision) (
  sfunc = float8_accum,
  stype = double precision[],
  combinefunc = float8_combine,
  initcond = '{0,0,0}',
  parallel = safe
);

comment on aggregate sensordb.moments (double precision) is
  'Count, sum and centred sum of squares in one pass, by the transition function of PostgreSQL''s own variance (Youngs and Cramer).';

create function sensordb.accum_or_nan(state double precision[], value double precision) returns double precision[]
language plpgsql immutable
set search_path to pg_catalog, pg_temp
as $$
declare
  total double precision;
begin
  return float8_accum(state, value);
exception when numeric_value_out_of_range then
  begin
    total := state[2] + value;
  exception when numeric_value_out_of_range then
    total := 'NaN';
  end;
  return array[state[1] + 1, total, 'NaN']::double precision[];
end;
$$;

create aggregate sensordb.moments_or_nan (double precision) (
  sfunc = sensordb.accum_or_nan,
  stype = double precision[],
  initcond = '{0,0,0}'
);

comment on aggregate sensordb.moments_or_nan (double precision) is
  'The same where they overflow (22003): a sum that does is NaN, and stops no other.';

create function sensordb.sketch_bucket(value double precision) returns integer
language sql immutable parallel safe
return case when value > 0 and value < 'infinity' then 40000 + (50 * ln(value))::integer
            when value = 0 then 0
            when value < 0 and value > '-infinity' then -40000 - (50 * ln(-value))::integer
            when value = 'NaN' then 100001
            when value > 0 then 100000
            when value < 0 then -100000 end;

comment on function sensordb.sketch_bucket is
  'The number of the bucket that a value falls into, in the order of values. Of finite ones each spans e^(1/50): no value in it is further than 1 % from its middle.';

create function sensordb.sketch_of("values" double precision[]) returns table (value_sketch integer[])
language sql immutable parallel safe
begin atomic
  -- In FROM it becomes part of the query that asks (14 to 18): a call for each hour would take several times as long.
  select case when cardinality("values") < 4096 then (
           select array_agg(c.element)
             from (
               select b.bucket * 16384 + count(*)::integer as element
                 -- OFFSET 0 has each value put into its bucket once, and the buckets alone sorted.
                 from (select sensordb.sketch_bucket(v.value) as bucket from (select unnest("values") as value offset 0) v offset 0) b
                group by b.bucket
                order by b.bucket
             ) c
         ) else (
           select array_agg(c.bucket * 16384 + d * 4096 + (c.count >> 12 * d & 4095)::integer order by c.bucket, d)
             from (select sensordb.sketch_bucket(v) as bucket, count(*) as count from unnest("values") v group by 1) c
             cross join generate_series(0, 3) d
            where c.count >> 12 * d & 4095 > 0
         ) end;
end;

comment on function sensordb.sketch_of is
  'How many of the values fall into each bucket, as value_sketch of the aggregates says it: bucket * 16384 + digit''s place * 4096 + digit, the counts in digits of base 4096.';

create function sensordb.hour_of("timestamp" timestamptz) returns timestamptz
language sql immutable parallel safe
return date_trunc('hour', "timestamp" at time zone 'UTC') at time zone 'UTC';

comment on function sensordb.hour_of is
  'The hour of UTC, in any session; also for what date_bin fails on (22008), 292,272 years from its origin.';

create function sensordb.log_change() returns trigger
language plpgsql security definer
set search_path to pg_catalog, pg_temp
as $$
begin
  if tg_op <> 'INSERT' then
    insert into sensordb.aggregate_change values (tg_argv[0]::bigint, old.device_id, sensordb.hour_of(old."timestamp"));
  end if;
  if tg_op = 'INSERT'
    or tg_op = 'UPDATE' and (new.device_id, sensordb.hour_of(new."timestamp")) is distinct from (old.device_id, sensordb.hour_of(old."timestamp"))
  then
    insert into sensordb.aggregate_change values (tg_argv[0]::bigint, new.device_id, sensordb.hour_of(new."timestamp"));
  end if;
  return null;
end;
$$;

comment on function sensordb.log_change is
  'Logs the device-hour of a change, as the owner: who writes readings has no right on this schema.';

-- PostgreSQL asks whoever makes or attaches a partition for this right, too (42501; 14 to 18), and the owner of the readings may
-- be another role. Nobody else comes to call it: by its name it is found by those alone who have USAGE on the schema.
grant execute on function sensordb.log_change to public;

create function sensordb.span(lower_bound timestamptz, upper_bound timestamptz) returns tstzrange
language sql immutable parallel safe
return tstzrange(nullif(lower_bound, '-infinity'), nullif(upper_bound, 'infinity'));

comment on function sensordb.span is
  'The range between two bounds; infinite ones are open, so that the instants -infinity and infinity lie within.';

create function sensordb.is_same_place(a tstzrange, a_is_default boolean, b tstzrange, b_is_default boolean) returns boolean
language sql immutable parallel safe
return a_is_default = b_is_default and (a_is_default or a && b);

comment on function sensordb.is_same_place is
  'Whether two partitions can be the same one at different times. The OID alone does not tell: of one that is gone a dump writes the number, which may be that of any table once it is restored.';

create function sensordb.whole_hours(ranges tstzmultirange) returns tstzmultirange
language sql immutable parallel safe
return (
  select coalesce(range_agg(tstzrange(
           sensordb.hour_of(lower(r)),
           case when upper(r) = sensordb.hour_of(upper(r)) then upper(r) else sensordb.hour_of(upper(r)) + interval '1 hour' end
         )), '{}')
    from unnest(ranges) r
);

comment on function sensordb.whole_hours is
  'The ranges, widened to whole hours of UTC.';

create function sensordb.aggregate_leaves(readings regclass, roots oid[] default null)
returns table (
  leaf_oid oid,
  lower_bound timestamptz,
  upper_bound timestamptz,
  is_default boolean,
  members oid[],
  fingerprint text
)
language sql stable
set search_path to pg_catalog, pg_temp
set timezone to 'UTC'
set datestyle to 'ISO, MDY'
as $$
  -- Rows of a partition whose detach is pending are not seen through the parent.
  with recursive tree (root, oid) as (
    select i.inhrelid, i.inhrelid from pg_inherits i
     where i.inhparent = readings and not i.inhdetachpending and (roots is null or i.inhrelid = any (roots))
    union all
    select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
  ),
  member as (
    select t.root, c.oid,
           case when c.relkind = 'p' then ''
                when c.relkind = 'r' then c.oid || ':' || c.relfilenode || ':' || m.marks end as fingerprint
      from tree t
      join pg_class c on c.oid = t.oid
      -- Detach, attach and every ENABLE or DISABLE write the row of a trigger again (14 to 18): its xmin tells.
      left join lateral (
        select string_agg(g.oid || '.' || g.xmin::text, ',' order by g.tgname) as marks
          from pg_trigger g
         where g.tgrelid = c.oid
           and g.tgname in ('sensordb_change_insert', 'sensordb_change_update', 'sensordb_change_delete')
           -- In a query of its own, for it is looked up for every row otherwise.
           and g.tgfoid = (select to_regproc('sensordb.log_change'))
           and g.tgenabled = 'A'
        having count(*) = 3
      ) m on true
  ),
  root as (
    select m.root, array_agg(m.oid order by m.oid) as members,
           case when bool_and(m.fingerprint is not null) then string_agg(m.fingerprint, ' ' order by m.oid) end as fingerprint
      from member m
     group by m.root
  ),
  bound as (
    select r.*, pg_get_expr(c.relpartbound, 0) as bound from root r join pg_class c on c.oid = r.root
  )
  select b.root,
         coalesce(substring(b.bound from $re$FROM \('([^']*)'\)$re$)::timestamptz, '-infinity'),
         coalesce(substring(b.bound from $re$TO \('([^']*)'\)$re$)::timestamptz, 'infinity'),
         b.bound = 'DEFAULT',
         b.members,
         b.fingerprint
    from bound b
$$;

comment on function sensordb.aggregate_leaves is
  'The partitions of a table as they are now, all or some, as aggregate_leaf remembers them; waits for no lock.';

create function sensordb.retired_ranges(source bigint) returns tstzmultirange
language sql stable
set search_path to pg_catalog, pg_temp
as $$
  with leaf as materialized (
    select l.* from sensordb.aggregate_source s, sensordb.aggregate_leaves(s.readings) l where s.id = source
  ),
  gone as (
    select k.* from sensordb.aggregate_leaf k
     where k.source_id = source
       and not exists (
         select from leaf l
          where l.leaf_oid = k.leaf_oid and k.members::oid[] <@ l.members
            and sensordb.is_same_place(sensordb.span(l.lower_bound, l.upper_bound), l.is_default, sensordb.span(k.lower_bound, k.upper_bound), k.is_default))
  ),
  covered as (
    select coalesce(range_agg(sensordb.span(l.lower_bound, l.upper_bound)) filter (where not l.is_default), '{}') as ranges
      from (select lower_bound, upper_bound, is_default from leaf union all select lower_bound, upper_bound, is_default from gone) l
  )
  select sensordb.whole_hours(
    coalesce((
      select range_agg(sensordb.span(r.lower_bound, r.upper_bound)) from sensordb.aggregate_retired r
       where r.source_id = source and not exists (
         select from leaf l
          where r.leaf_oid = any (l.members)
            and sensordb.is_same_place(sensordb.span(l.lower_bound, l.upper_bound), l.is_default, sensordb.span(r.lower_bound, r.upper_bound), r.is_default))), '{}')
    + coalesce((select range_agg(sensordb.span(g.lower_bound, g.upper_bound)) from gone g where not g.is_default), '{}')
    + case when exists (select from gone g where g.is_default) then '{(,)}' - (select ranges from covered) else '{}' end
  )
$$;

comment on function sensordb.retired_ranges is
  'The hours whose raw rows went with a leaf, those among them of which no refresh knows yet.';

create function sensordb.unsettled_ranges(source bigint) returns tstzmultirange
language sql stable
set search_path to pg_catalog, pg_temp
as $$
  with leaf as materialized (
    select l.*, k.fingerprint as known
      from sensordb.aggregate_source s
      cross join sensordb.aggregate_leaves(s.readings) l
      left join sensordb.aggregate_leaf k on k.source_id = s.id and k.leaf_oid = l.leaf_oid
     where s.id = source
  ),
  changed as (
    select l.* from leaf l where l.fingerprint is null or l.fingerprint is distinct from l.known
  ),
  pieces (ranges) as (
    select tstzmultirange(tstzrange(nullif(s.clean_until, '-infinity'), null)) from sensordb.aggregate_source s where s.id = source
    union all
    select range_agg(sensordb.span(p.lower_bound, p.upper_bound)) from sensordb.aggregate_pending p where p.source_id = source
    union all
    select range_agg(sensordb.span(c.lower_bound, c.upper_bound)) from changed c where not c.is_default
    union all
    select '{(,)}' - coalesce((select range_agg(sensordb.span(l.lower_bound, l.upper_bound)) from leaf l where not l.is_default), '{}')
     where exists (select from changed c where c.is_default)
  )
  select sensordb.whole_hours(coalesce((select range_agg(r) from pieces p, unnest(p.ranges) r), '{}')) - sensordb.retired_ranges(source)
$$;

comment on function sensordb.unsettled_ranges is
  'The hours whose aggregates are not to be relied upon as a whole, at this very moment; single device-hours are in aggregate_change besides.';

create function sensordb.uncounted_ranges(leaf sensordb.aggregate_leaf) returns tstzmultirange
language sql stable
set search_path to pg_catalog, pg_temp
return (
  select tstzmultirange(sensordb.span(leaf.lower_bound, leaf.upper_bound)) * case
           -- After detach its triggers are gone, but TRUNCATE before it shows still.
           when leaf.fingerprint is null or exists (
             select from unnest(leaf.members) m join pg_class c on c.oid = m and c.relkind = 'r'
              where strpos(' ' || leaf.fingerprint, format(' %s:%s:', c.oid, c.relfilenode)) = 0)
           then '{(,)}'
           else sensordb.whole_hours(
             tstzmultirange(tstzrange(nullif(s.clean_until, '-infinity'), null))
             + coalesce((select range_agg(sensordb.span(p.lower_bound, p.upper_bound))
                           from sensordb.aggregate_pending p where p.source_id = s.id), '{}'))
         end
    from sensordb.aggregate_source s where s.id = leaf.source_id
);

comment on function sensordb.uncounted_ranges is
  'The hours of a partition that a refresh has still to count, single device-hours in the log apart; also of one that has left.';

create function sensordb.settle_leaves(source bigint)
returns table (what text, leaf_oid oid, lower_bound timestamptz, upper_bound timestamptz)
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  src sensordb.aggregate_source;
  leaves sensordb.aggregate_leaf[];
  frozen tstzmultirange;
  unsettled tstzmultirange;
  piece tstzrange;
  is_whole boolean;
  has_rows boolean;
  stored tstzmultirange;
  left_over tstzmultirange;
begin
  select s.* into src from sensordb.aggregate_source s where s.id = source;
  -- One look at the partitions, by one statement: nobody keeps others from truncating or attaching them meanwhile, and what is
  -- noted as seen must be what was found unsettled.
  select sensordb.retired_ranges(source), sensordb.unsettled_ranges(source),
         (select array_agg(row (source, l.*)::sensordb.aggregate_leaf) from sensordb.aggregate_leaves(src.readings) l)
    into frozen, unsettled, leaves;

  -- Back in its place: its rows are counted anew.
  delete from sensordb.aggregate_retired r
   where r.source_id = source
     and exists (
       select from unnest(leaves) l
        where r.leaf_oid = any (l.members)
          and sensordb.is_same_place(sensordb.span(l.lower_bound, l.upper_bound), l.is_default, sensordb.span(r.lower_bound, r.upper_bound), r.is_default));

  for leaf_oid, lower_bound, upper_bound, is_whole, left_over in
    delete from sensordb.aggregate_leaf k
     where k.source_id = source
       and not exists (
         select from unnest(leaves) l
          where l.leaf_oid = k.leaf_oid and k.members <@ l.members
            and sensordb.is_same_place(sensordb.span(l.lower_bound, l.upper_bound), l.is_default, sensordb.span(k.lower_bound, k.upper_bound), k.is_default))
    -- Of a partition that is there still, one of those below it has gone.
    returning coalesce((select m from unnest(k.members) m
                         where not exists (select from unnest(leaves) l where m = any (l.members))
                         order by m <> k.leaf_oid limit 1), k.leaf_oid),
              k.lower_bound, k.upper_bound, not k.is_default, sensordb.uncounted_ranges(k)
  loop
    what := 'retired';
    -- DEFAULT held what no other partition covered: of what is frozen now, the hours that are stored. All of it would be all time to come.
    if not is_whole then
      execute format($query$
        select coalesce(range_agg(sensordb.span(least(s.hour, '275000-01-01 00:00:00+00'), case
                 when s.hour = '-infinity' then '4714-11-24 00:00:00+00 BC'
                 -- JavaScript has no dates after the year 275760: what is stored there is one range.
                 when s.hour >= '275000-01-01 00:00:00+00' then 'infinity'
                 else s.hour + interval '1 hour' end)), '{}')
          from (select distinct a.hour from %s a, unnest($1) r where a.hour <@ r) s$query$, src.aggregates)
         into stored using frozen;
    end if;
    for piece in
      select r from unnest(case when is_whole
        then tstzmultirange(sensordb.span(lower_bound, upper_bound))
        else stored - coalesce((select range_agg(sensordb.span(t.lower_bound, t.upper_bound)) from sensordb.aggregate_retired t where t.source_id = source), '{}')
        end) r
    loop
      execute format('select exists (select from %s a where %s)', src.aggregates,
                     -- A bound that is open is null, and says nothing.
                     concat_ws(' and ', 'true', 'a.hour >= ' || quote_literal(sensordb.hour_of(lower(piece))), 'a.hour < ' || quote_literal(upper(piece))))
         into has_rows;
      if has_rows then
        insert into sensordb.aggregate_retired (source_id, leaf_oid, lower_bound, upper_bound, is_default, uncounted)
        values (source, leaf_oid, coalesce(lower(piece), '-infinity'), coalesce(upper(piece), 'infinity'), not is_whole, left_over)
        on conflict do nothing;
      end if;
    end loop;
    return next;
  end loop;

  for leaf_oid, lower_bound, upper_bound in
    insert into sensordb.aggregate_leaf as k (source_id, leaf_oid, lower_bound, upper_bound, is_default, members, fingerprint)
    select l.* from unnest(leaves) l
      left join sensordb.aggregate_leaf k on k.source_id = source and k.leaf_oid = l.leaf_oid
     where k.leaf_oid is null or l.fingerprint is null or l.fingerprint is distinct from k.fingerprint
    on conflict (source_id, leaf_oid) do update
      set lower_bound = excluded.lower_bound, upper_bound = excluded.upper_bound,
          members = excluded.members, fingerprint = excluded.fingerprint
    returning k.leaf_oid, k.lower_bound, k.upper_bound
  loop
    what := 'changed';
    return next;
  end loop;

  -- They are kept for as long as the leaf is: it may come back, and must not be dropped before they are looked at.
  delete from sensordb.aggregate_skipped k
   where k.source_id = source
     and not exists (
       select from sensordb.aggregate_retired r join pg_class c on c.oid = r.leaf_oid
        where r.source_id = source
          and sensordb.whole_hours(tstzmultirange(sensordb.span(r.lower_bound, r.upper_bound))) @> k.hour);

  -- What is frozen is pending no more. What is unsettled before clean_until is; a range that somebody else noted meanwhile, too.
  with cut as (
    delete from sensordb.aggregate_pending p
     where p.source_id = source and sensordb.span(p.lower_bound, p.upper_bound) && frozen
    returning sensordb.span(p.lower_bound, p.upper_bound) as hours
  )
  insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
  select source, coalesce(lower(r), '-infinity'), coalesce(upper(r), 'infinity')
    from unnest((select coalesce(range_agg(c.hours), '{}') from cut c) - frozen) r;
  insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
  select source, coalesce(lower(r), '-infinity'), coalesce(upper(r), 'infinity')
    from unnest(unsettled - tstzmultirange(tstzrange(nullif(src.clean_until, '-infinity'), null)) - coalesce((
           select range_agg(sensordb.span(p.lower_bound, p.upper_bound)) from sensordb.aggregate_pending p where p.source_id = source), '{}')) r;
end;
$$;

comment on function sensordb.settle_leaves is
  'Takes note of partitions that came, went or were changed behind the triggers'' back; writes nothing when there are none.';

create function sensordb.is_near(a double precision, b double precision) returns boolean
language sql immutable parallel safe
return a is not distinct from b or abs(a - b) <= 1e-9 * greatest(abs(a), abs(b));

comment on function sensordb.is_near is
  'Whether two sums are one but for rounding, which depends on the order of what is added up.';

create function sensordb.is_stored_otherwise(
  leaf regclass, aggregates regclass, bounds tstzrange, hours tstzmultirange, devices bigint[], device_hours timestamptz[]
) returns boolean
language plpgsql stable
set search_path to pg_catalog, pg_temp
set row_security to off
as $$
declare
  -- Of an hour that reaches beyond the bounds other partitions hold rows, too.
  whole constant tstzrange := case when isempty(bounds) then bounds else tstzrange(
    case when lower(bounds) = sensordb.hour_of(lower(bounds)) then lower(bounds) else sensordb.hour_of(lower(bounds)) + interval '1 hour' end,
    greatest(sensordb.hour_of(upper(bounds)), sensordb.hour_of(lower(bounds)) + interval '1 hour')) end;
  counts constant text := $sql$
    g.moments[1]::bigint as reading_count, g.moments[2] as value_sum, g.value_min, g.value_max, g.moments[3] as value_sxx,
    g.first_at, g.first_value, g.last_at, g.last_value, k.value_sketch$sql$;
  sums constant text := $sql$
    sensordb.%I(r.value) as moments, min(r.value) as value_min, max(r.value) as value_max,
    min(r."timestamp") as first_at, (array_agg(r.value order by r."timestamp", r.id))[1] as first_value,
    max(r."timestamp") as last_at, (array_agg(r.value order by r."timestamp" desc, r.id desc))[1] as last_value,
    array_agg(r.value) as "values"$sql$;
  differs constant text := $sql$
    (m.reading_count is not null or a.reading_count is not null and $3 @> %s)
    and not ((m.reading_count, m.value_min, m.value_max, m.first_at, m.first_value, m.last_at, m.last_value, m.value_sketch)
               is not distinct from
             (a.reading_count, a.value_min, a.value_max, a.first_at, a.first_value, a.last_at, a.last_value, a.value_sketch)
             and sensordb.is_near(m.value_sum, a.value_sum) and sensordb.is_near(m.value_sxx, a.value_sxx))$sql$;
  in_range constant text := 'select exists (
    select from (
      select g.device_id, g.hour, ' || counts || ' from (
        select r.device_id, sensordb.hour_of(r."timestamp") as hour, ' || sums || ' from %s r
         where r."timestamp" >= $1 and r."timestamp" <= $2 group by 1, 2) g
        cross join lateral sensordb.sketch_of(g."values") k) m
      full join (select * from %s s where s.hour >= $1 and s.hour <= $2) a using (device_id, hour)
     where ' || format(differs, 'hour') || ')';
  of_hours constant text := 'select exists (
    select from unnest($1, $2) d (device_id, hour)
      left join lateral (
        select ' || counts || ' from (
          select ' || sums || ' from %s r
           where r.device_id = d.device_id and r."timestamp" >= d.hour and r."timestamp" <= d.hour + interval ''59 minutes 59.999999 seconds'') g
         cross join lateral sensordb.sketch_of(g."values") k
         where g.moments[1] > 0) m on true
      left join %s a on a.device_id = d.device_id and a.hour = d.hour
     where ' || format(differs, 'd.hour') || ')';
  moments text := 'moments';
  piece tstzrange;
  found boolean;
begin
  loop
    begin
      execute format(of_hours, moments, leaf, aggregates) into found using devices, device_hours, whole;
      if found then return true; end if;
      foreach piece in array array(select r from unnest(hours) r) loop
        execute format(in_range, moments, leaf, aggregates) into found
          using coalesce(lower(piece), '-infinity'), coalesce(upper(piece) - interval '1 microsecond', 'infinity'), whole;
        if found then return true; end if;
      end loop;
      return false;
    exception when numeric_value_out_of_range then
      if moments = 'moments_or_nan' then raise; end if;
      moments := 'moments_or_nan';
    end;
  end loop;
end;
$$;

comment on function sensordb.is_stored_otherwise is
  'Whether the rows of a partition, in whole ranges and in single device-hours, are not what the aggregates say; within the bounds neither more nor less. Lock: ACCESS SHARE on both.';

create function sensordb.has_rows(leaf regclass, since timestamptz) returns boolean
language plpgsql stable
set search_path to pg_catalog, pg_temp
set row_security to off
as $$
declare
  found boolean;
begin
  execute format('select exists (select from %s r where r."timestamp" >= $1)', leaf) into found using since;
  return found;
end;
$$;

comment on function sensordb.has_rows is
  'Whether a partition holds rows from an instant on. Lock: ACCESS SHARE on it.';

create function sensordb.not_aggregated(parent oid, leaf_oids oid[])
returns table (leaf_oid oid, message text, remedy text, object text)
language plpgsql stable
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  src sensordb.aggregate_source;
  logged tstzmultirange;
  pending tstzmultirange;
  roots oid[];
  one record;
  refreshed text;
begin
  with recursive up (oid) as (
    select parent
    union all
    select i.inhparent from up u join pg_inherits i on i.inhrelid = u.oid
  )
  select s.* into src from sensordb.aggregate_source s where s.readings in (select u.oid from up u);
  if not found then return; end if;
  refreshed := format('sensordb aggregates refresh --table %s', src.readings);
  select coalesce(range_agg(case c.hour when '-infinity' then tstzrange(null, c.hour, '[]') when 'infinity' then tstzrange(c.hour, null)
                                        else tstzrange(c.hour, c.hour + interval '1 hour') end), '{}') into logged
    from (select distinct c.hour from sensordb.aggregate_change c where c.source_id = src.id) c;
  select coalesce(range_agg(sensordb.span(p.lower_bound, p.upper_bound)), '{}') into pending
    from sensordb.aggregate_pending p where p.source_id = src.id;

  -- Others may be waiting for the locks that the transaction holds: no more partitions are looked at than it is about.
  with recursive up (oid, parent) as (
    select i.inhrelid, i.inhparent from pg_inherits i where i.inhrelid = any (leaf_oids)
    union
    select i.inhrelid, i.inhparent from up u join pg_inherits i on i.inhrelid = u.parent
  )
  select coalesce(array_agg(u.oid), '{}') into roots from up u where u.parent = src.readings;

  for one in
    with leaf as materialized (
      select l.*, m as member from sensordb.aggregate_leaves(src.readings, roots) l cross join unnest(l.members) m
    )
    select x.oid, format('%I.%I', n.nspname, c.relname) as relation, c.relkind = 'f' as is_foreign,
           sensordb.whole_hours(tstzmultirange(sensordb.span(l.lower_bound, l.upper_bound))) as hours,
           l.upper_bound > src.clean_until as is_open, l.fingerprint, k.leaf_oid is not null as is_known, k.fingerprint as known,
           (select range_agg(sensordb.span(r.lower_bound, r.upper_bound) * sensordb.span(l.lower_bound, l.upper_bound))
              from sensordb.aggregate_retired r where r.source_id = src.id) as retired
      from unnest(leaf_oids) x (oid)
      join leaf l on l.member = x.oid
      join pg_class c on c.oid = x.oid
      join pg_namespace n on n.oid = c.relnamespace
      left join sensordb.aggregate_leaf k on k.source_id = src.id and k.leaf_oid = l.leaf_oid
  loop
    leaf_oid := one.oid;
    object := one.relation;
    message := format('%s has hours that are not in %s yet.', one.relation, src.aggregates);
    remedy := format('Bring them up to date: %s. Then run this again.', refreshed);
    if one.fingerprint is null then
      message := format('Not every change of %s is logged: rows of it may not be in %s.', one.relation, src.aggregates);
      remedy := case when one.is_foreign then format('It is a foreign table: %s; then run this with --no-gate --yes.', refreshed)
                     else format('Give it its triggers again: sensordb partitions repair --table %s. Then %s, and run this again.', src.readings, refreshed) end;
      return next;
    -- A partition that no refresh has seen, and that is empty, has nothing to lose.
    elsif one.hours && pending or one.hours && logged
      or one.is_known and one.fingerprint is distinct from one.known
      or not one.is_known and sensordb.has_rows(one.oid, '-infinity')
      or one.is_known and one.is_open and sensordb.has_rows(one.oid, src.clean_until)
    then
      return next;
    -- In the place of one that went, whose aggregates stand: its own rows are in none.
    elsif one.retired is not null and not isempty(one.retired) and sensordb.is_stored_otherwise(one.oid, src.aggregates, 'empty', sensordb.whole_hours(one.retired), null, null) then
      message := format('%s holds rows that are not in %s: the aggregates of their hours stand from a leaf that went.', one.relation, src.aggregates);
      remedy := concat('To count these rows in the place of those: sensordb aggregates backfill --recount',
                       ' --from ' || to_char(lower(one.retired) at time zone 'UTC', 'YYYY-MM-DD'),
                       ' --to ' || to_char((upper(one.retired) + interval '23:59:59') at time zone 'UTC', 'YYYY-MM-DD'),
                       ' --table ', src.readings, '. To do without them: --no-gate --yes.');
      return next;
    end if;
  end loop;

  -- Those that have left, and may hold what nobody has counted. What came into their time later, and is not in them, is no reason.
  for one in
    select x.oid, format('%I.%I', n.nspname, c.relname) as relation, b.bounds, u.uncounted, changed.devices, changed.hours
      from unnest(leaf_oids) x (oid)
      join pg_class c on c.oid = x.oid and not c.relispartition
      join pg_namespace n on n.oid = c.relnamespace
      join sensordb.detached_leaf d on d.leaf_oid = x.oid and d.state in ('detaching', 'detached')
      cross join lateral (select sensordb.span(d.lower_bound, d.upper_bound) as bounds) b
      left join sensordb.aggregate_leaf k on k.source_id = src.id and x.oid = any (k.members)
      cross join lateral (
        select coalesce(range_agg(sensordb.span(r.lower_bound, r.upper_bound)), '{}') as ranges,
               coalesce((select range_agg(h) from sensordb.aggregate_retired g cross join unnest(g.uncounted) h
                          where g.source_id = src.id and g.leaf_oid = x.oid), '{}') as uncounted
          from sensordb.aggregate_retired r where r.source_id = src.id and r.leaf_oid = x.oid
      ) retired
      cross join lateral (
        -- Of what is known neither as a partition nor as one that went nothing was counted.
        select sensordb.whole_hours(tstzmultirange(b.bounds) * case when k.leaf_oid is not null then sensordb.uncounted_ranges(k)
                                                               else '{(,)}' - retired.ranges + retired.uncounted end) as uncounted
      ) u
      cross join lateral (
        select array_agg(g.device_id) as devices, array_agg(g.hour) as hours
          from (select g.device_id, g.hour from sensordb.aggregate_change g where g.source_id = src.id
                union
                select g.device_id, g.hour from sensordb.aggregate_skipped g where g.source_id = src.id) g
         where sensordb.whole_hours(tstzmultirange(b.bounds)) @> g.hour and not u.uncounted @> g.hour
      ) changed
  loop
    continue when isempty(one.uncounted) and one.devices is null;
    continue when not sensordb.is_stored_otherwise(one.oid, src.aggregates, one.bounds, one.uncounted, one.devices, one.hours);
    leaf_oid := one.oid;
    object := one.relation;
    message := format('%s holds rows that are not in %s: they were changed when it was detached, or had not been counted before.', one.relation, src.aggregates);
    remedy := format('Attach it: sensordb partitions attach %s --table %s. Then %s, and detach it again.', one.relation, parent::regclass, refreshed);
    return next;
  end loop;
end;
$$;

comment on function sensordb.not_aggregated is
  'The partitions, attached or detached, whose rows would be lost to the aggregates if they went. Lock: ACCESS SHARE on some of them.';
