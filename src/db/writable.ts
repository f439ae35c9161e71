import { failure } from '../cli/errors.ts';
import type { Session } from './session.ts';
import { SQLSTATE } from './sqlstate.ts';

/** Throws (exit 1) on a standby: advisory locks succeed there, and everything after them fails (25006). */
export function requireWritable(session: Session): void {
  if (!session.server.inRecovery) return;
  throw failure(
    'standby',
    `The server is a read-only standby: nothing can be changed on ${session.server.database} there.`,
    {
      sqlstate: SQLSTATE.readOnlyTransaction,
      object: session.server.database,
      hint: 'Connect to the primary; with several hosts, target_session_attrs=read-write finds it.',
    },
  );
}
