import { sql } from 'kysely';
import type { RunOptions } from '../db/budget.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { inTransaction } from '../db/transaction.ts';
import type { Source } from './source.ts';

/** Thrown when a leaf left the table while its readings were counted: the transaction is made again. */
class LeafLeft extends Error {}

/**
 * Runs a transaction that counts readings, so that no leaf can leave the table unseen meanwhile.
 *
 * ACCESS SHARE on the table holds off DETACH and DROP, which want ACCESS EXCLUSIVE. DETACH CONCURRENTLY it does not hold off
 * (14 to 18): a leaf that is leaving is not seen by later statements any more. So the leaves are read at the beginning and at
 * the end; were one gone, its aggregates would have been taken for those of an empty hour.
 */
export async function counting<T>(
  session: Session,
  { table }: Source,
  options: RunOptions,
  work: () => Promise<T>,
): Promise<T> {
  const lock = sqlStatement('aggregates/lock_table.sql', { schema: table.schema, table: table.name });
  const locks = [{ relation: table.qualified, mode: 'ACCESS SHARE' } as const];
  const { lockTimeoutMs } = options.budget;
  const attempt = () =>
    inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
      await session.run(lock);
      const before = await readMembers(session, table.oid);
      const result = await work();
      const after = new Set(await readMembers(session, table.oid));
      if (!before.every((oid) => after.has(oid))) throw new LeafLeft();
      return result;
    });
  for (;;) {
    try {
      return await underBudget(session, `Count the readings of ${table.qualified}`, locks, options, attempt);
    } catch (thrown) {
      if (!(thrown instanceof LeafLeft)) throw thrown;
    }
  }
}

/** Lists the OIDs of all partitions, at every depth, whose rows are seen through the table. */
async function readMembers(session: Session, oid: number): Promise<readonly number[]> {
  const { rows } = await sql<{ members: readonly number[] }>`
    with recursive tree (oid) as (
      select ${String(oid)}::oid
      union all
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    )
    select coalesce(jsonb_agg(t.oid::bigint), '[]') as members from tree t`.execute(session.db);
  return rows[0]?.members ?? [];
}
