-- Lets every role that writes readings ask for the gate: pg_sequence_last_value refuses others (42501), and up to 17 so would
-- their inserts. Lock: none. May run in a transaction.
grant select on sequence sensordb.:"gate" to public
