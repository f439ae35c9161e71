-- Lets a trigger of a leaf fire, unless the session is a replica. Lock: SHARE ROW EXCLUSIVE on the leaf alone. May run in a transaction.
alter table only :"schema".:"leaf" enable trigger :"trigger"
