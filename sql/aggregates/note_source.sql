-- Takes note of a table whose readings are aggregated. Lock: none but on schema sensordb. May run in a transaction.
insert into sensordb.aggregate_source (id, readings, aggregates, gate, clean_until)
values (
  :'source', format('%I.%I', :'schema', :'table')::regclass, :'aggregates'::regclass, format('sensordb.%I', :'gate')::regclass,
  to_timestamp(:'hours'::double precision * 3600)
)
on conflict (readings) do nothing
