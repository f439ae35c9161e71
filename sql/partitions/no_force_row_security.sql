-- Takes row security off the owner of a leaf. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" no force row level security
