-- Sets one storage parameter of a new leaf's TOAST table. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" set (toast.:"option" = :'value')
