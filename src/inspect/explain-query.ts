import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { splitStatements } from '../db/statements.ts';
import type { PlanNode } from './plan-tree.ts';
import type { Query } from './seen-queries.ts';
import { PREPARED, preparable } from './statement-text.ts';

/** The plan of a query, or why there is none. */
type Explained = { readonly tree: PlanNode } | { readonly problem: string };

/** Plans a query for values that are not known yet, and lets the plan begin with nulls in their place; `left` gives milliseconds. */
export async function explainQuery(
  session: Session,
  { text, from }: Query,
  left: () => number,
): Promise<Explained> {
  const statement = onlyStatement(from === 'config' ? text : preparable(text));
  if (statement === null) return { problem: 'It is not one statement of SQL.' };
  await session.run('savepoint planning');
  try {
    // As the application's own role reads names; rolling back to the savepoint undoes it.
    const path = session.server.searchPath.map(quoteIdentifier).join(', ');
    await session.run(`set local search_path to ${path === '' ? 'pg_catalog' : path}`);
    await session.run('set local plan_cache_mode to force_generic_plan');
    await session.run(timeout(left()));
    await session.run(`prepare ${PREPARED} as ${statement}`);
    return await explainPrepared(session, left);
  } catch (thrown) {
    const code = sqlstateOf(thrown);
    if (code === null || code === SQLSTATE.lockNotAvailable || code === SQLSTATE.queryCanceled) throw thrown;
    return { problem: `EXPLAIN fails: ${(thrown as Error).message}.` };
  } finally {
    await session.runAlways('rollback to savepoint planning').catch(() => {});
  }
}

/** Zero would be no limit at all. */
function timeout(milliseconds: number): string {
  return `set local statement_timeout to ${Math.max(1, Math.ceil(milliseconds))}`;
}

async function explainPrepared({ run, runAlways }: Session, left: () => number): Promise<Explained> {
  try {
    await run(timeout(left()));
    const { rows: found } = await run<{ parameters: number }>(
      `select cardinality(p.parameter_types)::int as parameters from pg_catalog.pg_prepared_statements p where p.name = '${PREPARED}'`,
    );
    const nulls = Array.from({ length: found[0]?.parameters ?? 0 }, () => 'null');
    const { rows } = await run<{ 'QUERY PLAN': string | readonly { readonly Plan: PlanNode }[] }>(
      `explain (format json, verbose) execute ${PREPARED}${nulls.length === 0 ? '' : `(${nulls.join()})`}`,
    );
    const printed = rows[0]?.['QUERY PLAN'] ?? '[]';
    const plans = (typeof printed === 'string' ? JSON.parse(printed) : printed) as readonly {
      readonly Plan: PlanNode;
    }[];
    const tree = plans[0]?.Plan;
    return tree === undefined ? { problem: 'EXPLAIN printed no plan.' } : { tree };
  } finally {
    // What was prepared outlives the transaction.
    await runAlways('rollback to savepoint planning').catch(() => {});
    await runAlways(`deallocate ${PREPARED}`).catch(() => {});
  }
}

/** More than one would be run, not only planned. */
function onlyStatement(text: string): string | null {
  try {
    const [statement, ...others] = splitStatements(text);
    return others.length === 0 ? (statement?.sql ?? null) : null;
  } catch {
    return null; // It is no SQL that can be taken apart.
  }
}
