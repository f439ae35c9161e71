-- Keeps rows of a period out of DEFAULT, so that ATTACH need not look for any: refuses them (23514) until it is dropped.
-- Lock: ACCESS EXCLUSIVE on DEFAULT, for a moment: NOT VALID looks at no row. May run in a transaction.
alter table :"default_schema".:"default" add constraint :"constraint"
  check (:"key" is null or :"key" < :'lower' or :"key" >= :'upper') not valid
