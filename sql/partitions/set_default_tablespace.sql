-- Names the tablespace of what the transaction makes next. Lock: none. Must run in a transaction.
set local default_tablespace to :'tablespace'
