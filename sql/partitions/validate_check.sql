-- Makes sure that a CHECK holds for the rows that were there before it: reads the whole table.
-- Lock: SHARE UPDATE EXCLUSIVE on the table. May run in a transaction.
alter table :"schema".:"leaf" validate constraint :"check"
