-- Sets one storage parameter of a leaf's index, such as autosummarize. May run in a transaction.
-- Lock: SHARE UPDATE EXCLUSIVE or ACCESS EXCLUSIVE on the index alone, by the parameter (fillfactor, autosummarize).
alter index :"schema".:"index" set (:"option" = :'value')
