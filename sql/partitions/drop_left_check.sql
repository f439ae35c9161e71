-- Drops the CHECK on the bounds that an attach of a table which is no leaf yet has put on it and did not come to use.
-- Lock: ACCESS EXCLUSIVE on the table. May run in a transaction.
alter table :"schema".:"leaf" drop constraint if exists :"check"
