-- Drops a leaf that is a foreign table; what it stands for stays. Never CASCADE. May run in a transaction.
-- Locks: ACCESS EXCLUSIVE on the leaf, and on an attached one's parent and DEFAULT partition.
drop foreign table :"schema".:"leaf"
