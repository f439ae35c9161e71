-- Lets DEFAULT take rows of the guarded period again. Lock: ACCESS EXCLUSIVE on DEFAULT, for a moment. May run in a transaction.
alter table :"default_schema".:"default" drop constraint if exists :"constraint"
