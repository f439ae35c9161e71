-- Drops the CHECK on its bounds from a leaf that was attached: its bounds say the same. Lock: ACCESS EXCLUSIVE on the leaf.
-- May run in a transaction, and does: the one that attaches it.
alter table :"schema".:"leaf" drop constraint :"constraint"
