-- Sets one storage parameter of a leaf. Lock: SHARE UPDATE EXCLUSIVE on the leaf (ACCESS EXCLUSIVE for user_catalog_table).
-- May run in a transaction.
alter table :"schema".:"leaf" set (:"option" = :'value')
