import type { Session } from '../db/session.ts';
import { explainServerError } from '../db/sqlstate.ts';
import { explainStateRight } from '../db/state-right.ts';
import { inTransaction } from '../db/transaction.ts';
import type { Source } from './source.ts';

/** How long a read waits for a lock that somebody holds on what it reads, in milliseconds. */
const LOCK_TIMEOUT_MS = 1000;

/**
 * Reads in one snapshot: the aggregates, the readings, and what is known of both, as they were at one moment.
 *
 * A policy of row-level security would hide readings silently: with row_security off it is an error (42501) instead.
 */
export async function inSnapshot<T>(session: Session, { table }: Source, work: () => Promise<T>): Promise<T> {
  try {
    const options = {
      access: 'read only',
      isolation: 'repeatable read',
      lockTimeoutMs: LOCK_TIMEOUT_MS,
    } as const;
    return await inTransaction(session, options, async () => {
      // A role may have set fewer digits than a float8 has.
      await session.run('set local row_security to off; set local extra_float_digits to 1');
      return await work();
    });
  } catch (thrown) {
    throw (
      (await explainStateRight(session, thrown)) ??
      explainServerError(thrown, `Reading ${table.qualified} and its aggregates`, table.qualified)
    );
  }
}
