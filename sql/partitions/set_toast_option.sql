-- Sets one storage parameter of a leaf's TOAST table. Lock: SHARE UPDATE EXCLUSIVE on the leaf. May run in a transaction.
alter table :"schema".:"leaf" set (toast.:"option" = :'value')
