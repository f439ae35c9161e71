-- Names the access method of the table that the transaction makes next. Lock: none. Must run in a transaction.
set local default_table_access_method to :'method'
