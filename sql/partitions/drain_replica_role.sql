-- Lets no trigger fire in this transaction: a row that moves is not deleted, and ON DELETE CASCADE would delete what
-- references it. Lock: none. Wants a superuser, or from 15 on the right to set it. Must run in a transaction.
set local session_replication_role to replica
