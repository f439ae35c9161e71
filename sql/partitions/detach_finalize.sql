-- Completes a DETACH CONCURRENTLY that was interrupted halfway. It waits for all older snapshots of the database.
-- Locks: those of DETACH CONCURRENTLY: SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the leaf (while it waits,
-- too), SHARE ROW EXCLUSIVE on tables that the parent's foreign keys reference, ACCESS EXCLUSIVE on those that reference it.
-- May run in a transaction, and does not.
alter table :"parent_schema".:"parent"
  detach partition :"schema".:"leaf" finalize
