-- Drops the CHECK on the bounds of a leaf, which it has by being a partition again.
-- Lock: ACCESS EXCLUSIVE on the leaf. May run in a transaction, and does: the one that attached it.
alter table :"schema".:"leaf" drop constraint :"check"
