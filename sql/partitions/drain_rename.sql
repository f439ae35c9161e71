-- Gives the table that was filled its name as a leaf. Lock: ACCESS EXCLUSIVE on it. May run in a transaction, and does: the
-- one that attaches it.
alter table :"schema".:"leaf" rename to :"name"
