-- Takes row security off a leaf. Lock: ACCESS EXCLUSIVE on the leaf alone. May run in a transaction.
alter table :"schema".:"leaf" disable row level security
