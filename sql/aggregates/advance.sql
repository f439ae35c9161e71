-- Puts the hours up to the gate among the pending ones, and says that from now on all changes before it are logged. Whoever
-- wrote before the gate was moved must have ended. Lock: none but on schema sensordb. May run in a transaction.
with due as (
  select s.id, s.clean_until, to_timestamp(:'hours'::double precision * 3600) as gate
    from sensordb.aggregate_source s where s.id = :'source'
),
piece as (
  select d.id, r
    from due d
    cross join unnest(tstzmultirange(tstzrange(nullif(d.clean_until, '-infinity'), d.gate)) - sensordb.retired_ranges(d.id)) r
   where d.clean_until < d.gate
),
noted as (
  insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
  select p.id, coalesce(lower(p.r), '-infinity'), upper(p.r) from piece p
)
update sensordb.aggregate_source s set clean_until = d.gate from due d where s.id = d.id and d.clean_until < d.gate
