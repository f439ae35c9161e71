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

/**
 * Reads the first and the last hour that has an aggregate; null while somebody has locked the aggregates.
 *
 * There is no index by the hour alone: from device to device the one by both is descended, which costs by the devices and not
 * by the rows.
 */
export async function readCoverage(
  session: Session,
  { table, aggregates }: Source,
): Promise<Coverage | null> {
  const stored = sql.id(table.schema, aggregates);
  try {
    return await inTransaction(session, { access: 'read only', lockTimeoutMs: LOCK_TIMEOUT_MS }, async () => {
      const { rows } = await sql<Coverage>`
        with recursive device (id) as (
          (select a.device_id from ${stored} a order by a.device_id limit 1)
          union all
          select (select a.device_id from ${stored} a where a.device_id > d.id order by a.device_id limit 1)
            from device d where d.id is not null
        )
        select min(e.first)::text as first, max(e.last)::text as last
          from device d
          cross join lateral (
            select (select a.hour from ${stored} a where a.device_id = d.id order by a.hour limit 1) as first,
                   (select a.hour from ${stored} a where a.device_id = d.id order by a.hour desc limit 1) as last
          ) e
         where d.id is not null`.execute(session.db);
      return rows[0] ?? { first: null, last: null };
    });
  } catch (thrown) {
    const code = sqlstateOf(thrown);
    if (code === SQLSTATE.lockNotAvailable || code === SQLSTATE.insufficientPrivilege) return null;
    throw thrown;
  }
}
