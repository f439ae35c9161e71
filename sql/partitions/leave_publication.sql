-- Takes a detached leaf out of a publication that it is a member of by itself.
-- Lock: SHARE UPDATE EXCLUSIVE on the leaf. May run in a transaction.
alter publication :"publication" drop table :"schema".:"leaf"
