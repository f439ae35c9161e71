-- Shortens the wait for the locks that follow, since everybody waits for us by then. Lock: none. Must run in a transaction.
set local lock_timeout to :'lock_timeout'
