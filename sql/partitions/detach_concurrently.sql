-- Detaches a leaf without holding up those who use the other leaves. Refused while there is a DEFAULT partition (55000).
-- Locks: SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the leaf once all transactions that use the parent have
-- ended, SHARE ROW EXCLUSIVE on tables that the parent's foreign keys reference, ACCESS EXCLUSIVE on those that reference it.
-- May not run in a transaction: it commits halfway (the leaf is then "detach pending") and leaves a CHECK on the bounds.
alter table :"parent_schema".:"parent"
  detach partition :"schema".:"leaf" concurrently
