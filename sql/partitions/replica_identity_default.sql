-- Lets logical replication identify rows by the primary key. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" replica identity default
