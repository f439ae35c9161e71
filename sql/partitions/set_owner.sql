-- Gives a leaf the owner of its parent. Lock: ACCESS EXCLUSIVE on the leaf and its indexes. May run in a transaction.
alter table :"schema".:"leaf" owner to :"owner"
