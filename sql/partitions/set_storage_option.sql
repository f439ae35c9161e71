-- Sets one storage parameter of a new leaf. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" set (:"option" = :'value')
