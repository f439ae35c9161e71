-- Gives the table that is being filled a CHECK on the bounds it is to have, which spares ATTACH the scan of it.
-- Lock: none but on the new table, which is empty. May run in a transaction.
alter table :"schema".:"leaf" add constraint :"constraint"
  check (:"key" is not null and :"key" >= :'lower' and :"key" < :'upper')
