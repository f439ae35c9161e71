-- Gives a new leaf the owner of its parent. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" owner to :"owner"
