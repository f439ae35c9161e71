-- Lets a trigger of a leaf never fire. Lock: SHARE ROW EXCLUSIVE on the leaf alone. May run in a transaction.
alter table only :"schema".:"leaf" disable trigger :"trigger"
