-- Drops the table of hourly aggregates.
-- Strongest lock: ACCESS EXCLUSIVE on sensors_sensoraggregate. Runs in a transaction.
drop table :"schema".sensors_sensoraggregate;
