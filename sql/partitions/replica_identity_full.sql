-- Lets logical replication identify rows by all columns. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" replica identity full
