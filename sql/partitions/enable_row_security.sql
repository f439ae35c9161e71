-- Puts row security in force on a new leaf. Lock: none but on the new leaf. May run in a transaction.
alter table :"schema".:"leaf" enable row level security
