-- Takes back what set_session_lock_timeout.sql set. Lock: none. May run in a transaction, and does not.
reset lock_timeout
