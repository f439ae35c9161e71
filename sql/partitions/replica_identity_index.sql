-- Lets logical replication identify rows by an index. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" replica identity using index :"index"
