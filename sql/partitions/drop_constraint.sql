-- Drops a constraint of a leaf that is of no use any more: the CHECK on its bounds once it is a partition again, or one that
-- ATTACH makes anew since it takes over none that is there (exclusion, 17 and 18).
-- Lock: ACCESS EXCLUSIVE on the leaf. May run in a transaction, and does: the one that attaches it.
alter table :"schema".:"leaf" drop constraint :"constraint"
