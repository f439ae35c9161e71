-- Moves the gate forward, never back. At once and for everybody, also for transactions that began before; a rollback does not undo it.
-- Lock: none but on the sequence. May run in a transaction.
select setval(g.gate, greatest(:'hours'::bigint, coalesce(pg_sequence_last_value(g.gate), :'hours'::bigint)))
  from (select format('sensordb.%I', :'gate')::regclass as gate) g
