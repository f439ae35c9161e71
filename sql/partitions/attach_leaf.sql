-- Makes a table a partition of its parent, for one range of the partition key.
-- Locks: SHARE UPDATE EXCLUSIVE on the parent, ACCESS EXCLUSIVE on the DEFAULT partition if there is one, SHARE ROW EXCLUSIVE
-- on tables that the parent's foreign keys reference and on those that reference the parent. May run in a transaction.
alter table :"parent_schema".:"parent"
  attach partition :"schema".:"leaf" for values from (:'lower') to (:'upper')
