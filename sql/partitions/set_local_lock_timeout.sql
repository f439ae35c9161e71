-- Cuts the waits for the locks that are still to come: others wait behind those that are held by now.
-- Lock: none. May run in a transaction, and must.
set local lock_timeout to :'timeout'
