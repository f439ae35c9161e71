-- Lets logical replication identify rows by all columns. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" replica identity full
