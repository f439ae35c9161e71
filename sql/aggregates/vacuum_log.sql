-- Gives the room of the log of changes back once it is empty; autovacuum would come later. Truncating it takes ACCESS EXCLUSIVE on
-- sensordb's own table where nobody is in the way, and gives way to who writes late rows (14 to 18).
-- Lock: SHARE UPDATE EXCLUSIVE on the log, or nothing is done. Must run outside of transactions.
vacuum (skip_locked) sensordb.aggregate_change
