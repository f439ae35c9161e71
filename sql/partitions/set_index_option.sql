-- Sets one storage parameter of a new leaf's index, such as autosummarize. Lock: none but on the new index. May run in a transaction.
alter index :"schema".:"index" set (:"option" = :'value')
