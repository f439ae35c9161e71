-- Makes a new, still empty leaf unlogged. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" set unlogged
