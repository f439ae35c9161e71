-- Gives a new leaf the comment of its parent. Lock: none but on the new leaf. May run in a transaction.
comment on table :"schema".:"leaf" is :'comment'
