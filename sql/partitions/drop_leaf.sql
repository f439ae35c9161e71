-- Drops a leaf, attached or detached, and with it the partitions below it. Never CASCADE. May run in a transaction.
-- Locks: ACCESS EXCLUSIVE on the leaf; on an attached one's parent and DEFAULT partition; on the tables that a detached
-- one's own foreign keys reference. Its files are removed after the commit, when the locks are gone.
drop table :"schema".:"leaf"
