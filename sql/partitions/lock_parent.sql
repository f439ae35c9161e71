-- Waits for the strongest lock of a transaction first, so that nobody is held up by a lock behind which another is awaited.
-- Lock: ACCESS EXCLUSIVE on the parent, none on its partitions. Must run in a transaction.
lock table only :"parent_schema".:"parent" in access exclusive mode
