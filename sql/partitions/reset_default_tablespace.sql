-- Undoes what set_default_tablespace did: the session's own setting counts again. Lock: none. Must run in a transaction.
set local default_tablespace to default
