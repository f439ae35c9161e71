import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { inTransaction } from '../db/transaction.ts';

/** No look waits longer than this for a lock that came up since the locked tables were listed, in milliseconds. */
const LOCK_TIMEOUT_MS = 50;

/** A look that has not answered by then is given up, in milliseconds. */
const STATEMENT_TIMEOUT_MS = 30_000;

/** Runs a look in a read-only transaction of its own, which neither waits for locks nor goes on for ever. */
export async function looking<T>(session: Session, look: () => Promise<T>): Promise<T> {
  return await inTransaction(session, { access: 'read only', lockTimeoutMs: LOCK_TIMEOUT_MS }, async () => {
    await session.run(`set local statement_timeout to ${STATEMENT_TIMEOUT_MS}`);
    return await look();
  });
}

/** Says why a look failed that is to be reported rather than to end the run; null: it is to end it. */
export function explainMiss({ signal }: Session, thrown: unknown): string | null {
  const sqlstate = sqlstateOf(thrown);
  if (signal.aborted || sqlstate === null) return null;
  const said = thrown instanceof Error ? thrown.message.replace(/\.$/, '') : String(thrown);
  switch (sqlstate) {
    case SQLSTATE.lockNotAvailable:
      return 'A lock stood in its way again and again.';
    case SQLSTATE.insufficientPrivilege:
      return `The role may not look: ${said}.`;
    case SQLSTATE.queryCanceled:
      return `It did not answer within ${STATEMENT_TIMEOUT_MS / 1000} s.`;
    // Dropped between the reading of the catalog and the look.
    case SQLSTATE.undefinedTable:
      return `A table went away meanwhile: ${said}.`;
    default:
      // A lost connection ends the run; what the server says of one look (a conflict with recovery, a relation that went away) does not.
      return /^(?:08|57P)/.test(sqlstate) ? null : `It failed: ${said}.`;
  }
}
