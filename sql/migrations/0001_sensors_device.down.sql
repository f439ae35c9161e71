-- Drops the table of devices.
-- Strongest lock: ACCESS EXCLUSIVE on sensors_device. Runs in a transaction.
drop table :"schema".sensors_device;
