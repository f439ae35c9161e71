-- Lets logical replication send no old row. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" replica identity nothing
