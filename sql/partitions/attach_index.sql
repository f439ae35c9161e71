-- Makes an index of a leaf a partition of the parent's index, which becomes valid with the last one. May run in a transaction.
-- Locks: ACCESS EXCLUSIVE on the leaf's index, SHARE UPDATE EXCLUSIVE on the parent's, ACCESS SHARE on both tables.
-- Of one that is attached already it only makes the parent's index valid, if all leaves have theirs.
alter index :"parent_schema".:"parent_index" attach partition :"schema".:"index"
