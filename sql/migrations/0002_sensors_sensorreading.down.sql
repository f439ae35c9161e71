-- Drops the table of readings with every partition that is attached to it, DEFAULT included, and its sequence.
-- Strongest lock: ACCESS EXCLUSIVE on sensors_sensorreading, its partitions and sensors_device. Runs in a transaction.
drop table :"schema".sensors_sensorreading;
