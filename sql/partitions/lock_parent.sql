-- Locks a partitioned table, without its leaves, before something that needs that lock anyway. Must run in a transaction.
-- Lock: ACCESS EXCLUSIVE on the parent. It alone is waited for as long as --lock-timeout: who holds it waits briefly for the rest.
lock table only :"schema".:"parent" in access exclusive mode
