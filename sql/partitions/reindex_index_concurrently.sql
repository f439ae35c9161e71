-- Builds an invalid index of a leaf anew, beside the old one. Must not run in a transaction.
-- Locks: SHARE UPDATE EXCLUSIVE on the leaf and the index; waits for transactions that use the leaf.
reindex index concurrently :"schema".:"index"
