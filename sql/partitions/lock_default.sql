-- Keeps rows from being written into DEFAULT directly while rows change places. Lock: ACCESS EXCLUSIVE on DEFAULT.
-- Must run in a transaction, after lock_parent.sql: the other way round a writer and this deadlock.
lock table :"default_schema".:"default" in access exclusive mode
