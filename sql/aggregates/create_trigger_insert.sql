-- Logs every insert of a reading before the gate, through the table or straight into a leaf: leaves take over row triggers, new and
-- attached ones, too. WHEN is judged as the row is written and queues nothing for the others.
-- Lock: SHARE ROW EXCLUSIVE on the table and all its leaves. May run in a transaction.
create or replace trigger sensordb_change_insert
  after insert on :"schema".:"table" for each row
  when ((new."timestamp" >= to_timestamp(pg_sequence_last_value(:'gate'::regclass)::double precision * 3600)) is not true)
  execute function sensordb.log_change(:'source')
