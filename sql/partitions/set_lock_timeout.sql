-- Bounds how long the statements after it may wait for a lock, while the transaction holds others up. Lock: none. Must run in a transaction.
set local lock_timeout to :'lock_timeout'
