-- Bounds the waits of a statement outside of any transaction: were its client killed, it would queue for ever.
-- Lock: none. May run in a transaction, and does not.
set lock_timeout to :'timeout'
