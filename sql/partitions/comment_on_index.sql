-- Gives a leaf's index the comment of its parent's index. Lock: SHARE UPDATE EXCLUSIVE on the index. May run in a transaction.
comment on index :"schema".:"index" is :'comment'
