-- Keeps leaves from being detached (but CONCURRENTLY) and dropped until the transaction ends. Lock: ACCESS SHARE on the table alone.
-- Runs in a transaction.
lock table only :"schema".:"table" in access share mode
