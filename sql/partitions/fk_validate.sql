-- Makes sure that every row of a table satisfies a foreign key. Lock: SHARE UPDATE EXCLUSIVE on the table, ROW SHARE on the
-- referenced one. May run in a transaction.
alter table :"schema".:"leaf" validate constraint :"constraint"
