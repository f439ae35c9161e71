import { sql } from 'kysely';
import type { Check, Found, Look } from '../check.ts';
import { type PlannedQuery, planQueries } from '../plan-queries.ts';
import { type PlanNode, scannedRelations } from '../plan-tree.ts';
import {
  hiddenStatements,
  lockedOut,
  shorten,
  switchedOff,
  tooLarge,
  tooLate,
  unplanned,
  unpruned,
} from '../pruning-findings.ts';
import {
  countOf,
  describeLarge,
  mentions,
  type PartitionedTable,
  readPartitionedTables,
} from '../pruning-tables.ts';
import type { Scene } from '../scene.ts';
import { type Query, readStatements } from '../seen-queries.ts';

/** Finds queries of the application that read partitions which they need not read. */
export const queryPruning: Check = {
  name: 'query_pruning',
  area: 'partitions',
  finds:
    'queries of the application that read all partitions, for want of a condition on the partition key that prunes',
  explanation: `A query that has no condition on the partition key, or one that PostgreSQL cannot compare with bounds, reads every partition, and locks
each of them and each of its indexes. timestamp::date = …, date_trunc('day', timestamp) = … prune nothing; timestamp >= … and
timestamp < … prune, as literals when the query is planned, as parameters or now() when it begins to run.

Proved by EXPLAIN, which plans and runs no query: of the queries in the config file (inspect.queries) and, where pg_stat_statements is
installed, of the role's own that took the most time. Parameters are null then: a condition that can prune prunes everything, one that
cannot nothing; when nothing is pruned, it is planned for values about the present, too. What is pruned by values that the query itself
finds, of a subquery or another table, counts as pruned. Views of the table count as the table; functions are not looked into, nor is what
utility commands such as COPY and CREATE TABLE AS read. For a table of which no query is known only the setting enable_partition_pruning
is looked at, and the check stands in notYet; so it does when one of pg_stat_statements cannot be planned as that prints it, without its
literals.

A query for the first rows in the order of the partition key (ORDER BY timestamp DESC LIMIT 1) opens one partition after the other until
it has them: that is no fault, though all of them stand in its plan. It reads many when it has to look for rows of something rare.

A query that would lock more than half of what the server has locks for is not planned: that alone would hurt others. Neither is one
of a table on which somebody holds a lock.`,
  thresholds: {
    leaves: {
      value: 4,
      unit: 'partitions',
      source: 'Fewer are quickly read, and a query over the last quarter reads them all',
    },
    percent: {
      value: 60,
      unit: 'percent of the partitions',
      source: 'A query that prunes reads a few of them; one over half a year of a year reads half',
    },
    statements: {
      value: 20,
      unit: 'statements of pg_stat_statements',
      source: 'Those that take the most time in all',
    },
    seconds: {
      value: 3,
      unit: 'seconds for all plans together',
      source: 'As long as all other checks together may take',
    },
  },
  opens: true,
  look: async (scene) => {
    const { prunes, locks } = await readSettings(scene);
    if (!prunes) return { found: [switchedOff(scene)] };
    const tables = await readPartitionedTables(scene, locks);
    return tables.length === 0 ? { found: [] } : await lookAt(scene, tables, locks);
  },
};

interface Settings {
  readonly prunes: boolean;
  /** How many locks the server has room for, all transactions together. */
  readonly locks: number;
}

async function readSettings({ session }: Scene): Promise<Settings> {
  // max_locks_per_transaction times (max_connections + max_prepared_transactions): PostgreSQL's documentation.
  const { rows } = await sql<Settings>`
    select current_setting('enable_partition_pruning')::bool as prunes,
           (current_setting('max_locks_per_transaction')::int
             * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int))::int as locks`.execute(
    session.db,
  );
  return rows[0] as Settings;
}

async function lookAt(scene: Scene, tables: readonly PartitionedTable[], locks: number): Promise<Look> {
  const { statements, hidden } = await readStatements(scene, tables);
  const queries = [...scene.queries.map((text) => ({ text, from: 'config' }) as const), ...statements];
  const large = tables.filter(({ relations }) => relations * 2 > locks);
  const isOf = (some: readonly PartitionedTable[]) => (query: Query) =>
    some.some((table) => mentions(query, table));
  const isPlanned = (query: Query): boolean =>
    !isOf([...large, ...tables.filter(({ isLocked }) => isLocked)])(query);
  const planned = await planQueries(
    scene,
    queries.filter(isPlanned),
    scene.threshold('seconds'),
    (query) => (tree, parameters) =>
      tables.some((table) => isWhole(scene, table, readBy(query, tree, table, parameters))),
  );
  const found = [
    ...(hidden === 0 ? [] : [hiddenStatements(scene, hidden)]),
    ...notPlanned(scene, large, locks, queries),
    ...planned.flatMap((one) => judge(scene, tables, one)),
    ...notReached(scene, planned),
  ];
  const bare = tables.filter((table) => !table.isLocked && !large.includes(table) && !isSeen(table, planned));
  const needs = [...(bare.length === 0 ? [] : [needsOf(scene, bare)]), ...textsOf(planned)];
  return needs.length === 0 ? { found } : { found, ripeAt: null, needs: needs.join('; ') };
}

/** What would take too many locks: a finding a table for pg_stat_statements, one each for the queries of the config file. */
function notPlanned(
  scene: Scene,
  large: readonly PartitionedTable[],
  locks: number,
  queries: readonly Query[],
): readonly Found[] {
  const first = (query: Query) => large.find((table) => mentions(query, table));
  return large.flatMap((table) => {
    const own = queries.filter((query) => first(query) === table);
    const count = own.filter(({ from }) => from === 'pg_stat_statements').length;
    const named = own.filter(({ from }) => from === 'config');
    return [
      ...(count === 0 ? [] : [tooLarge(table, count, locks)]),
      ...named.map((query) => unplanned(scene, query, `${describeLarge(table, locks)}.`)),
    ];
  });
}

function judge(
  scene: Scene,
  tables: readonly PartitionedTable[],
  { query, outcome }: PlannedQuery,
): readonly Found[] {
  if (outcome.kind === 'problem') {
    return query.from === 'config' ? [unplanned(scene, query, outcome.problem)] : [];
  }
  if (outcome.kind !== 'plan') return [];
  return tables.flatMap((table) => {
    const read = readBy(query, outcome.tree, table, outcome.parameters);
    // For values it reads some, and not all: what is pruned altogether for them may be for want of any sense in them.
    const prunes = outcome.others.some((tree) => {
      const some = readBy(query, tree, table, 0);
      return some > 0 && !isWhole(scene, table, some);
    });
    return isWhole(scene, table, read) && !prunes ? [unpruned(table, query, read)] : [];
  });
}

/** How many partitions of a table a plan reads. */
function readBy(query: Query, tree: PlanNode, table: PartitionedTable, parameters: number): number {
  return countOf(table, scannedRelations(tree, { isOrdered: isOrdered(query), key: table.key, parameters }));
}

function isWhole(scene: Scene, { leaves }: PartitionedTable, read: number): boolean {
  return read > scene.threshold('leaves') && read * 100 >= scene.threshold('percent') * leaves;
}

/** Of min and max PostgreSQL makes the first row in an order, too. */
function isOrdered({ text }: Query): boolean {
  return /\border\s+by\b|\b(?:min|max)\s*\(/i.test(text);
}

function notReached(scene: Scene, planned: readonly PlannedQuery[]): readonly Found[] {
  const count = (kind: PlannedQuery['outcome']['kind']): number =>
    planned.filter(({ outcome }) => outcome.kind === kind).length;
  const [locked, late] = [count('locked'), count('late')];
  return [
    ...(locked === 0 ? [] : [lockedOut(scene, locked)]),
    ...(late === 0 ? [] : [tooLate(scene, late, planned.length, scene.threshold('seconds'))]),
  ];
}

/** A query of it was planned, or is reported for not having been. */
function isSeen(table: PartitionedTable, planned: readonly PlannedQuery[]): boolean {
  return planned.some(({ query, outcome }) => {
    if (outcome.kind === 'plan') return outcome.relations.includes(table.oid);
    return (outcome.kind !== 'problem' || query.from === 'config') && mentions(query, table);
  });
}

/** What of pg_stat_statements could not be planned was not looked at: it has lost what its literals were. */
function textsOf(planned: readonly PlannedQuery[]): readonly string[] {
  const lost = planned.filter(
    ({ query, outcome }) => query.from === 'pg_stat_statements' && outcome.kind === 'problem',
  );
  const [first] = lost;
  if (first === undefined) return [];
  const which =
    lost.length === 1
      ? 'a query that cannot'
      : `${lost.length} queries, the first of them below, that cannot`;
  return [
    `in the config file (inspect.queries) ${which} be planned as pg_stat_statements prints it: ${shorten(first.query.text)}`,
  ];
}

function needsOf({ capabilities }: Scene, bare: readonly PartitionedTable[]): string {
  const names = bare.slice(0, 3).map(({ qualified }) => qualified);
  const more = bare.length > names.length ? ` and ${bare.length - names.length} more` : '';
  const where =
    capabilities.pgStatStatements === null
      ? 'in the config file (inspect.queries), or pg_stat_statements'
      : 'of this role in pg_stat_statements, or in the config file (inspect.queries)';
  return `queries on ${names.join(', ')}${more} ${where}`;
}
