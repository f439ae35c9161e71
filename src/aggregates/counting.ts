import { sql } from 'kysely';
import { failure } from '../cli/errors.ts';
import type { RunOptions } from '../db/budget.ts';
import { quoteIdentifier } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { explainServerError, isServerError, SQLSTATE } from '../db/sqlstate.ts';
import { inTransaction } from '../db/transaction.ts';
import { readLeaves } from './leaves.ts';
import type { Source } from './source.ts';

/** Thrown when a leaf left the table while its readings were counted: the transaction is made again. */
class LeafLeft extends Error {}

/**
 * Runs a transaction that counts readings, so that no leaf leaves the table unseen: its hours would be taken for empty ones, and
 * their aggregates erased.
 *
 * What has left before is noted first, which freezes its hours. ACCESS SHARE on the table then holds off DETACH and DROP, which
 * want ACCESS EXCLUSIVE. DETACH CONCURRENTLY it does not hold off (14 to 18): a leaf that is leaving is not seen by later
 * statements any more, so the leaves are read again at the end.
 */
export async function counting<T>(
  session: Session,
  source: Source,
  id: string,
  options: RunOptions,
  work: () => Promise<T>,
): Promise<T> {
  const { lockTimeoutMs } = options.budget;
  const attempt = () =>
    inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
      await session.run(SEE_ALL_ROWS);
      await session.run(lockStatement(source));
      const { members, haveLeft } = await readMembers(session, source, id);
      if (haveLeft) await session.run(settleStatement(id));
      const result = await work();
      const after = new Set((await readMembers(session, source, id)).members);
      if (!members.every((oid) => after.has(oid))) throw new LeafLeft();
      return result;
    });
  for (;;) {
    try {
      return await whileLeavesAreLocked(session, source, options, attempt);
    } catch (thrown) {
      if (!(thrown instanceof LeafLeft)) throw explain(thrown, session, source);
    }
  }
}

/** Reads readings under the lock budget: who holds a leaf is waited for, and named when the budget is spent. */
export async function whileLeavesAreLocked<T>(
  session: Session,
  source: Source,
  options: RunOptions,
  attempt: () => Promise<T>,
): Promise<T> {
  const { table, aggregatesQualified } = source;
  const share = (relation: string) => ({ relation, mode: 'ACCESS SHARE' }) as const;
  const parent = share(table.qualified);
  return await underBudget(
    session,
    `Count the readings of ${table.qualified}`,
    [parent],
    options,
    attempt,
    // Any of the leaves may be held, most of them are not read at all.
    async () => [
      parent,
      ...(await readLeaves(session, source)).flatMap(({ relations }) => relations.map(share)),
      { relation: aggregatesQualified, mode: 'ROW EXCLUSIVE' },
    ],
  );
}

/** Has a policy that would hide readings fail the transaction (42501): hours would be counted too short. */
export const SEE_ALL_ROWS = 'set local row_security to off';

function explain(thrown: unknown, { server }: Session, { table }: Source): unknown {
  if (!isServerError(thrown)) return thrown;
  const doing = `Counting the readings of ${table.qualified}`;
  if (thrown.code !== SQLSTATE.insufficientPrivilege)
    return explainServerError(thrown, doing, table.qualified);
  return failure('insufficient_privilege', `${doing}: ${thrown.message}.`, {
    sqlstate: thrown.code,
    object: table.qualified,
    hint: `Role ${server.user} must read every row: run it as the owner, or have a superuser run ALTER ROLE ${quoteIdentifier(server.user)} BYPASSRLS where policies are forced on the owner, too.`,
    cause: thrown,
  });
}

/** Makes the statement that holds the leaves of a table in their places. */
export function lockStatement({ table }: Source): string {
  return sqlStatement('aggregates/lock_table.sql', { schema: table.schema, table: table.name });
}

/** Makes the statement that takes note of leaves that came, went or were changed. */
export function settleStatement(id: string): string {
  return sqlStatement('aggregates/settle_leaves.sql', { source: id });
}

interface Members {
  readonly members: readonly number[];
  /** A partition whose rows are in the aggregates is not there any more. */
  readonly haveLeft: boolean;
}

/** Lists the OIDs of all partitions, at every depth, whose rows are seen through the table; in a transaction. */
export async function readMembers(session: Session, { table }: Source, id: string): Promise<Members> {
  const { rows } = await sql<Members>`
    with recursive tree (oid) as (
      select ${String(table.oid)}::oid
      union all
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    ),
    found as materialized (
      select array_agg(t.oid) as oids from tree t
    )
    select array_to_json(f.oids) as members,
           exists (select from sensordb.aggregate_leaf k cross join unnest(k.members) m
                    left join tree t on t.oid = m
                    where k.source_id = ${id}::bigint and t.oid is null) as "haveLeft"
      from found f`.execute(session.db);
  return rows[0] as Members;
}
