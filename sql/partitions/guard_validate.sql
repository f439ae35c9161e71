-- Makes sure that DEFAULT holds no row of the guarded period: fails (23514) if it does. Lock: SHARE UPDATE EXCLUSIVE on
-- DEFAULT, which readers and writers do not notice. May run in a transaction.
alter table :"default_schema".:"default" validate constraint :"constraint"
