-- Detaches a leaf where DETACH CONCURRENTLY is not to be had.
-- Locks: ACCESS EXCLUSIVE on the parent, the leaf, the DEFAULT partition and tables that reference the parent, SHARE ROW
-- EXCLUSIVE on tables that the parent's foreign keys reference. May run in a transaction.
alter table :"parent_schema".:"parent"
  detach partition :"schema".:"leaf"
