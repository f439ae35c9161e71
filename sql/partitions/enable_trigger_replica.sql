-- Lets a trigger of a leaf fire in replica sessions. Lock: SHARE ROW EXCLUSIVE on the leaf alone. May run in a transaction.
alter table only :"schema".:"leaf" enable replica trigger :"trigger"
