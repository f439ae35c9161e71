import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { inTransaction } from '../db/transaction.ts';
import type { Source } from './source.ts';

/** The first and the last hour that has an aggregate, as PostgreSQL prints them; null: there is none. */
export interface Coverage {
  readonly first: string | null;
  readonly last: string | null;
}

/** No look at the aggregates waits longer than this for a lock on them, in milliseconds. */
const LOCK_TIMEOUT_MS = 50;

/** Reads the first and the last hour that has an aggregate, by the index on the hour; null while somebody has locked the aggregates. */
export async function readCoverage(
  session: Session,
  { table, aggregates }: Source,
): Promise<Coverage | null> {
  const stored = sql.id(table.schema, aggregates);
  try {
    return await inTransaction(session, { access: 'read only', lockTimeoutMs: LOCK_TIMEOUT_MS }, async () => {
      const { rows } = await sql<Coverage>`
        select min(a.hour)::text as first, max(a.hour)::text as last from ${stored} a`.execute(session.db);
      return rows[0] ?? { first: null, last: null };
    });
  } catch (thrown) {
    const code = sqlstateOf(thrown);
    if (code === SQLSTATE.lockNotAvailable || code === SQLSTATE.insufficientPrivilege) return null;
    throw thrown;
  }
}
