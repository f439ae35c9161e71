-- Keeps a leaf as it is before what was planned for it is looked at again. Must run in a transaction.
-- Lock: ACCESS EXCLUSIVE on the leaf.
lock table only :"schema".:"leaf" in access exclusive mode
