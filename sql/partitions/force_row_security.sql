-- Puts row security in force for the owner of a new leaf, too. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" force row level security
