-- Puts row security in force for the owner of a leaf, too. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" force row level security
