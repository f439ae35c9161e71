-- Drops a table of copies that was not finished, to begin anew. Lock: ACCESS EXCLUSIVE on it. May run in a transaction.
drop table :"schema".:"leaf"
