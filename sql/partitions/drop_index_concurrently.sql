-- Drops what an interrupted CREATE or REINDEX INDEX CONCURRENTLY left behind. Must not run in a transaction.
-- Locks: SHARE UPDATE EXCLUSIVE on the leaf and the index; waits for transactions that use the leaf.
drop index concurrently :"schema".:"index"
