-- Drops an exclusion constraint of a leaf that ATTACH makes anew: it takes over none that is there (17 and 18).
-- Lock: ACCESS EXCLUSIVE on the leaf. May run in a transaction, and does: the one that attaches it.
alter table :"schema".:"leaf" drop constraint :"constraint"
