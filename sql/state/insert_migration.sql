-- Notes a migration as applied, in the transaction that applied it. Lock: none but on schema sensordb.
insert into sensordb.migration (schema_name, version, name, checksum, duration_ms, tool_version)
values (
  :'schema_name', :'version', :'name', :'checksum',
  extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000, :'tool_version'
)
