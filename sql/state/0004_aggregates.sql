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
  leaf_oid oid not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  is_default boolean not null,
  members oid[] not null,
  fingerprint text,
  primary key (source_id, leaf_oid)
);

comment on table sensordb.aggregate_leaf is
  'Partitions whose rows are in the aggregates, or in a pending range, or logged. One that is not here, or that looks otherwise now, is to be counted.';

comment on column sensordb.aggregate_leaf.members is
  'The partition and all those below it.';

comment on column sensordb.aggregate_leaf.fingerprint is
  'The files and triggers of its members: TRUNCATE, detach and attach, and disabled triggers change it. Null: not every change is logged.';

create table sensordb.aggregate_retired (
  source_id bigint not null references sensordb.aggregate_source on delete cascade,
  leaf_oid oid not null,
  lower_bound timestamptz not null,
  upper_bound timestamptz not null,
  retired_at timestamptz not null default clock_timestamp(),
  primary key (source_id, leaf_oid, lower_bound)
);

comment on table sensordb.aggregate_retired is
  'Ranges whose aggregates stand, and whose raw rows went with a leaf: they are not touched any more.';

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

revoke all on function sensordb.log_change from public;

create function sensordb.span(lower_bound timestamptz, upper_bound timestamptz) returns tstzrange
language sql immutable parallel safe
return tstzrange(nullif(lower_bound, '-infinity'), nullif(upper_bound, 'infinity'));

comment on function sensordb.span is
  'The range between two bounds; infinite ones are open, so that the instants -infinity and infinity lie within.';

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

create function sensordb.aggregate_leaves(readings regclass)
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
    select i.inhrelid, i.inhrelid from pg_inherits i where i.inhparent = readings and not i.inhdetachpending
    union all
    select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
  ),
  -- Detach, attach and every ENABLE or DISABLE write the row of a trigger again (14 to 18): its xmin tells.
  mark as (
    select g.tgrelid, string_agg(g.oid || '.' || g.xmin::text, ',' order by g.tgname) as marks
      from pg_trigger g
     where g.tgname in ('sensordb_change_insert', 'sensordb_change_update', 'sensordb_change_delete')
       and g.tgfoid = to_regproc('sensordb.log_change')
       and g.tgenabled = 'A'
     group by g.tgrelid
    having count(*) = 3
  ),
  member as (
    select t.root, c.oid,
           case when c.relkind = 'p' then ''
                when c.relkind = 'r' then c.oid || ':' || c.relfilenode || ':' || m.marks end as fingerprint
      from tree t
      join pg_class c on c.oid = t.oid
      left join mark m on m.tgrelid = c.oid
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
  'The partitions of a table as they are now, as aggregate_leaf remembers them; waits for no lock.';

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
       and not exists (select from leaf l where l.leaf_oid = k.leaf_oid and k.members <@ l.members)
  ),
  covered as (
    select coalesce(range_agg(sensordb.span(l.lower_bound, l.upper_bound)) filter (where not l.is_default), '{}') as ranges
      from (select lower_bound, upper_bound, is_default from leaf union all select lower_bound, upper_bound, is_default from gone) l
  )
  select sensordb.whole_hours(
    coalesce((
      select range_agg(sensordb.span(r.lower_bound, r.upper_bound)) from sensordb.aggregate_retired r
       where r.source_id = source and not exists (select from leaf l where r.leaf_oid = any (l.members))), '{}')
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

create function sensordb.settle_leaves(source bigint)
returns table (what text, leaf_oid oid, lower_bound timestamptz, upper_bound timestamptz)
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  src sensordb.aggregate_source;
  frozen tstzmultirange := sensordb.retired_ranges(source);
  unsettled tstzmultirange := sensordb.unsettled_ranges(source);
  piece tstzrange;
  is_whole boolean;
  has_rows boolean;
begin
  select s.* into src from sensordb.aggregate_source s where s.id = source;

  -- Back in its place: its rows are counted anew.
  delete from sensordb.aggregate_retired r
   where r.source_id = source
     and exists (select from sensordb.aggregate_leaves(src.readings) l where r.leaf_oid = any (l.members));

  for leaf_oid, lower_bound, upper_bound, is_whole in
    delete from sensordb.aggregate_leaf k
     where k.source_id = source
       and not exists (select from sensordb.aggregate_leaves(src.readings) l where l.leaf_oid = k.leaf_oid and k.members <@ l.members)
    -- Of a partition that is there still, one of those below it has gone.
    returning (select m from unnest(k.members) m
                where not exists (select from sensordb.aggregate_leaves(src.readings) l where m = any (l.members))
                order by m <> k.leaf_oid limit 1),
              k.lower_bound, k.upper_bound, not k.is_default
  loop
    what := 'retired';
    -- DEFAULT held what no other partition covered: of what is frozen now, all that no other row says.
    for piece in
      select r from unnest(case when is_whole
        then tstzmultirange(sensordb.span(lower_bound, upper_bound))
        else frozen - coalesce((select range_agg(sensordb.span(t.lower_bound, t.upper_bound)) from sensordb.aggregate_retired t where t.source_id = source), '{}')
        end) r
    loop
      execute format('select exists (select from %s a where %s)', src.aggregates,
                     concat_ws(' and ', 'true', format('a.hour >= %L', sensordb.hour_of(lower(piece))), format('a.hour < %L', upper(piece))))
         into has_rows;
      if has_rows then
        insert into sensordb.aggregate_retired (source_id, leaf_oid, lower_bound, upper_bound)
        values (source, leaf_oid, coalesce(lower(piece), '-infinity'), coalesce(upper(piece), 'infinity'))
        on conflict do nothing;
      end if;
    end loop;
    return next;
  end loop;

  for leaf_oid, lower_bound, upper_bound in
    insert into sensordb.aggregate_leaf as k (source_id, leaf_oid, lower_bound, upper_bound, is_default, members, fingerprint)
    select source, l.leaf_oid, l.lower_bound, l.upper_bound, l.is_default, l.members, l.fingerprint
      from sensordb.aggregate_leaves(src.readings) l
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

  -- Whatever the pending ranges were: what is unsettled before clean_until, without what is frozen, is what they are now.
  unsettled := unsettled - tstzmultirange(tstzrange(nullif(src.clean_until, '-infinity'), null));
  if unsettled is distinct from (
    select coalesce(range_agg(sensordb.span(p.lower_bound, p.upper_bound)), '{}') from sensordb.aggregate_pending p where p.source_id = source
  ) then
    delete from sensordb.aggregate_pending p
     where p.source_id = source and not sensordb.span(p.lower_bound, p.upper_bound) <@ unsettled;
    insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
    select source, coalesce(lower(r), '-infinity'), coalesce(upper(r), 'infinity')
      from unnest(unsettled - coalesce((
             select range_agg(sensordb.span(p.lower_bound, p.upper_bound)) from sensordb.aggregate_pending p where p.source_id = source), '{}')) r;
  end if;
end;
$$;

comment on function sensordb.settle_leaves is
  'Takes note of partitions that came, went or were changed behind the triggers'' back; writes nothing when there are none.';
