-- Moves a detached leaf into another schema, with its indexes and constraints. Lock: ACCESS EXCLUSIVE on it. May run in a transaction.
alter table :"schema".:"leaf" set schema :"target"
