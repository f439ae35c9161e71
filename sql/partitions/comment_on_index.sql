-- Gives a new leaf's index the comment of its parent's index. Lock: none but on the new index. May run in a transaction.
comment on index :"schema".:"index" is :'comment'
