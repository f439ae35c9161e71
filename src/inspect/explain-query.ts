import { quoteIdentifier } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { splitStatements } from '../db/statements.ts';
import { changesRows, type PlanNode } from './plan-tree.ts';
import type { Query } from './seen-queries.ts';
import { PREPARED, preparable } from './statement-text.ts';

/** The plan of a query, or why there is none. */
type Explained = Plans | { readonly problem: string };

/** What planning a query came to. */
export interface Plans {
  readonly tree: PlanNode;
  /** How many parameters it has no values for; the others have them. */
  readonly parameters: number;
  /** Those for values of the parameters, where the first left doubts. */
  readonly others: readonly PlanNode[];
  /** The OIDs of all relations that planning has locked to read them, the parents of pruned partitions among them. */
  readonly relations: readonly number[];
}

/** What may come of a plan, and of what time values are made for its parameters. */
export interface Doubts {
  readonly now: Date;
  readonly isDoubtful: (tree: PlanNode, parameters: number) => boolean;
}

/**
 * Plans a query for values that are not known yet, and lets the plan begin with nulls in their place; one that leaves doubts also for
 * values that it might be given. `left` gives milliseconds.
 */
export async function explainQuery(
  session: Session,
  { text, from }: Query,
  doubts: Doubts,
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
    return await explainPrepared(session, doubts, left);
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

async function explainPrepared(
  { run, runAlways }: Session,
  { now, isDoubtful }: Doubts,
  left: () => number,
): Promise<Explained> {
  try {
    await run(timeout(left()));
    const { rows: found } = await run<{ types: readonly string[] }>(
      `select to_jsonb(p.parameter_types::text[]) as types from pg_catalog.pg_prepared_statements p where p.name = '${PREPARED}'`,
    );
    const types = found[0]?.types ?? [];
    const tree = await explainWith(types.map(() => 'null'));
    if (tree === null) return { problem: 'EXPLAIN printed no plan.' };
    const { rows: locks } = await run<{ relations: readonly number[] | null }>(
      `select jsonb_agg(distinct l.relation::int8) as relations
         from pg_catalog.pg_locks l
        where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and (l.mode <> 'RowExclusiveLock' or $1::bool)`,
      [changesRows(tree)],
    );
    const others = types.length > 0 && isDoubtful(tree, types.length) ? await explainWithValues(types) : [];
    return { tree, parameters: types.length, others, relations: locks[0]?.relations ?? [] };
  } finally {
    // What was prepared outlives the transaction.
    await runAlways('rollback to savepoint planning').catch(() => {});
    await runAlways(`deallocate ${PREPARED}`).catch(() => {});
  }

  async function explainWith(values: readonly string[]): Promise<PlanNode | null> {
    await run(timeout(left()));
    const { rows } = await run<{ 'QUERY PLAN': string | readonly { readonly Plan: PlanNode }[] }>(
      `explain (format json, verbose) execute ${PREPARED}${values.length === 0 ? '' : `(${values.join()})`}`,
    );
    const printed = rows[0]?.['QUERY PLAN'] ?? '[]';
    const plans = (typeof printed === 'string' ? JSON.parse(printed) : printed) as readonly {
      readonly Plan: PlanNode;
    }[];
    return plans[0]?.Plan ?? null;
  }

  /** A range may be written with either end first. */
  async function explainWithValues(types: readonly string[]): Promise<readonly PlanNode[]> {
    const trees: PlanNode[] = [];
    await run('set local plan_cache_mode to force_custom_plan');
    for (const step of [1, -1]) {
      await run('savepoint sample');
      try {
        const tree = await explainWith(types.map((type, at) => sampleOf(type, at, step, now)));
        if (tree !== null) trees.push(tree);
      } catch (thrown) {
        const code = sqlstateOf(thrown);
        if (code === null || code === SQLSTATE.lockNotAvailable || code === SQLSTATE.queryCanceled)
          throw thrown;
        // The values are none that the query could be given.
        await run('rollback to savepoint sample');
      }
    }
    return trees;
  }
}

const HOUR_MS = 3_600_000;
const TIME = /^(?:timestamp with(?:out)? time zone|date)$/;
const NUMBER = /^(?:smallint|integer|bigint|numeric|real|double precision)$/;

/** Text that date_trunc takes, too. */
const UNITS = ['day', 'hour', 'month', 'minute', 'week', 'year'];

/** Makes up a value for a parameter, another one for each; times lie about the present. */
function sampleOf(type: string, at: number, step: number, now: Date): string {
  const time = `'${new Date(now.getTime() + step * at * HOUR_MS).toISOString()}'`;
  if (TIME.test(type)) return `${time}::${type}`;
  if (type.endsWith('[]') && TIME.test(type.slice(0, -2))) return `array[${time}]::${type}`;
  if (NUMBER.test(type)) return `${at + 1}::${type}`;
  if (type === 'text' || type.startsWith('character')) return `'${UNITS[at % UNITS.length]}'`;
  if (type === 'boolean') return 'true';
  if (type === 'interval') return `'1 hour'`;
  return 'null';
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
