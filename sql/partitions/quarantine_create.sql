-- Makes the table that takes rows no partition should exist for: the parent's columns, no constraint but NOT NULL, no index.
-- Lock: ACCESS SHARE on the parent. May run in a transaction.
create table :"schema".:"table" (like :"parent_schema".:"parent" including storage including compression)
