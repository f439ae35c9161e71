-- Puts a range on the list once more, also what was counted before, and hours whose leaf had gone: whoever asks for it says that the
-- rows there are now are all there are. Lock: none but on schema sensordb. May run in a transaction.
with asked as (
  select s.id, sensordb.whole_hours(tstzmultirange(sensordb.span(:'lower', :'upper')))
                 * tstzmultirange(tstzrange(null, s.clean_until)) as hours
    from sensordb.aggregate_source s where s.id = :'source'
),
thawed as (
  delete from sensordb.aggregate_retired r using asked a
   where r.source_id = a.id and sensordb.span(r.lower_bound, r.upper_bound) && a.hours
  returning r.*
),
kept as (
  insert into sensordb.aggregate_retired (source_id, leaf_oid, lower_bound, upper_bound, is_default, uncounted, retired_at)
  select t.source_id, t.leaf_oid, coalesce(lower(r), '-infinity'), coalesce(upper(r), 'infinity'), t.is_default, t.uncounted, t.retired_at
    from thawed t cross join asked a
    cross join unnest(sensordb.whole_hours(tstzmultirange(sensordb.span(t.lower_bound, t.upper_bound))) - a.hours) r
),
skipped as (
  delete from sensordb.aggregate_skipped k using asked a where k.source_id = a.id and a.hours @> k.hour
)
insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
select a.id, coalesce(lower(r), '-infinity'), coalesce(upper(r), 'infinity')
  from asked a
  cross join unnest(a.hours - coalesce((
    select range_agg(sensordb.span(p.lower_bound, p.upper_bound)) from sensordb.aggregate_pending p where p.source_id = a.id), '{}')) r
