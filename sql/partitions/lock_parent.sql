-- Holds everybody up for the moment in which rows change places: a statement that was planned before would not find them.
-- Lock: ACCESS EXCLUSIVE on the parent alone. Must run in a transaction.
lock table only :"parent_schema".:"parent" in access exclusive mode
