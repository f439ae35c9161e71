-- Cuts the waits for the locks that are still to come: others wait behind those that are held by now.
-- Lock: none. Must run in a transaction.
set local lock_timeout to :'timeout'
