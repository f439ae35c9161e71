-- Lets a trigger fire in every session, those of role replica among them: on the table and, from 15 on, on its leaves.
-- Lock: SHARE ROW EXCLUSIVE on the table and all its leaves. May run in a transaction.
alter table :"schema".:"table" enable always trigger :"trigger"
