-- Lets those end who write into a leaf directly, before it is looked at for the last time: the lock on the parent holds off none
-- of them. Lock: ACCESS EXCLUSIVE on the leaf and the partitions below it. Must run in a transaction, after lock_parent.sql.
lock table :"schema".:"leaf" in access exclusive mode
