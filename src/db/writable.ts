import { failure } from '../cli/errors.ts';
import type { Session } from './session.ts';
import { SQLSTATE } from './sqlstate.ts';

/**
 * Throws (exit 1) where nothing can be, or is meant to be, changed.
 *
 * `standby`: advisory locks succeed there, and everything after them fails (25006). `read_only`: a transaction could override
 * default_transaction_read_only, but whoever set it for a role or a database meant it.
 */
export function requireWritable({ server }: Session): void {
  const { user, database } = server;
  const details = { sqlstate: SQLSTATE.readOnlyTransaction, object: database };
  if (server.inRecovery) {
    throw failure(
      'standby',
      `The server is a read-only standby: nothing can be changed on ${database} there.`,
      {
        ...details,
        hint: 'Connect to the primary; with several hosts, target_session_attrs=read-write finds it.',
      },
    );
  }
  if (server.readOnly) {
    throw failure(
      'read_only',
      `Role ${user} is set to read only in database ${database}: nothing can be made.`,
      {
        ...details,
        hint: 'Take default_transaction_read_only off the role, the database or PGOPTIONS, or connect as another role.',
      },
    );
  }
}
