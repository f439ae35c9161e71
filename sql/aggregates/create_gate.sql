-- Makes the gate of a table: a sequence whose value is the hour since 1970 before which its triggers log every change.
-- Lock: none. May run in a transaction.
create sequence if not exists sensordb.:"gate" as bigint minvalue -9223372036854775808 start 0
