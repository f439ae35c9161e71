-- Lets logical replication identify rows by an index. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" replica identity using index :"index"
