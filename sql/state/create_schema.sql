-- Makes the schema of sensordb's own tables. Lock: none. May run in a transaction.
create schema sensordb
