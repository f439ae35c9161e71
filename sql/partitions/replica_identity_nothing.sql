-- Lets logical replication send no old row. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" replica identity nothing
