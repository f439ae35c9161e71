import { sql } from 'kysely';
import { quoteIdentifier } from '../../db/quote.ts';
import type { Check, Found } from '../check.ts';
import { explainQuery } from '../explain-query.ts';
import { sqlFix } from '../fix.ts';
import { type ScannedRelation, scannedRelations } from '../plan-tree.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';
import { type Query, readStatements } from '../seen-queries.ts';

/** A partitioned table. */
interface Table {
  readonly qualified: string;
  readonly schema: string;
  readonly name: string;
  readonly leaves: number;
  /** Leaves and their indexes: what a query that prunes nothing locks. */
  readonly relations: number;
  readonly members: readonly (readonly [schema: string, name: string])[];
}

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
installed, of the role's own that took the most time. Parameters are null then: a condition that can prune prunes everything, one that cannot nothing. Statements
that cannot be prepared as pg_stat_statements prints them (interval $1) are left out. With neither only the setting
enable_partition_pruning is looked at.

A query that would lock more than half of what the server has locks for is not planned: that alone would hurt others.`,
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
  },
  opens: true,
  look: async (scene) => {
    const settings = await readSettings(scene);
    if (!settings.prunes) return { found: [switchedOff(scene)] };
    const tables = await readTables(scene, settings.locks);
    if (tables.length === 0) return { found: [] };
    const { statements, hidden } = await readStatements(scene, tables);
    const queries = [...scene.queries.map((text) => ({ text, from: 'config' }) as const), ...statements];
    const found: Found[] = [
      ...(hidden === 0 ? [] : [hiddenStatements(scene, hidden)]),
      ...tooLargeToPlan(tables, settings.locks, statements),
    ];
    for (const query of queries) found.push(...(await judge(scene, tables, settings.locks, query)));
    return { found };
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

function switchedOff({ session }: Scene): Found {
  const database = quoteIdentifier(session.server.database);
  return {
    severity: 'critical',
    object: database,
    message: 'enable_partition_pruning is off: every query reads every partition.',
    evidence: { setting: 'enable_partition_pruning', value: 'off' },
    fixes: [sqlFix('setting', `alter database ${database} set enable_partition_pruning to on`)],
  };
}

async function readTables(scene: Scene, locks: number): Promise<readonly Table[]> {
  // Of tables that are too large to be planned the members are not needed.
  const { rows } = await sql<Table>`
    with recursive ${relationTree(scene)},
    counted as materialized (
      select r.root, count(*) filter (where r.is_leaf)::int as leaves,
             (count(*) + (select count(*) from pg_index x join relation i on i.oid = x.indrelid where i.root = r.root))::int as relations
        from relation r group by r.root
    )
    select r.qualified, r.schema, r.name, c.leaves, c.relations,
           case when c.relations * 2 > ${locks}::int then '[]'::jsonb
                else (select jsonb_agg(jsonb_build_array(m.schema, m.name)) from relation m where m.root = r.oid and m.is_leaf) end as members
      from relation r join counted c on c.root = r.oid
     where r.level = 0 and r.kind = 'p' and c.leaves > ${scene.threshold('leaves')}::int`.execute(
    scene.session.db,
  );
  return rows;
}

async function judge(
  scene: Scene,
  tables: readonly Table[],
  locks: number,
  query: Query,
): Promise<readonly Found[]> {
  const large = largeTableOf(tables, locks, query);
  if (large !== undefined) {
    return query.from === 'config' ? [unknown(scene, query, `${describeLarge(large, locks)}.`)] : [];
  }
  const plan = await explainQuery(scene.session, query);
  if ('problem' in plan) return query.from === 'config' ? [unknown(scene, query, plan.problem)] : [];
  const scanned = scannedRelations(plan.tree);
  return tables.flatMap((table) => {
    const read = countOf(table, scanned);
    const isWhole =
      read > scene.threshold('leaves') && read * 100 >= scene.threshold('percent') * table.leaves;
    return isWhole ? [unpruned(table, query, read)] : [];
  });
}

function largeTableOf(tables: readonly Table[], locks: number, { text }: Query): Table | undefined {
  return tables.find(({ name, relations }) => relations * 2 > locks && mentions(text, name));
}

/** Tells whether a text has a name in it that is not a part of a longer one. */
function mentions(text: string, name: string): boolean {
  const literally = name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`(?<![\\w$])${literally}(?![\\w$])`, 'u').test(text);
}

function describeLarge({ qualified, leaves, relations }: Table, locks: number): string {
  return `${qualified} has ${leaves} partitions: planned without pruning it would lock ${relations} relations, more than half of the ${locks} that the server has locks for`;
}

/** One finding a table for all that pg_stat_statements has seen of it. */
function tooLargeToPlan(
  tables: readonly Table[],
  locks: number,
  statements: readonly Query[],
): readonly Found[] {
  return tables.flatMap((table) => {
    const count = statements.filter((query) => largeTableOf(tables, locks, query) === table).length;
    if (count === 0) return [];
    const needs = 'a larger max_locks_per_transaction';
    return [
      {
        severity: 'unknown',
        object: table.qualified,
        message: `Whether ${count} ${count === 1 ? 'statement' : 'statements'} of pg_stat_statements prune could not be seen. ${describeLarge(table, locks)}. It needs ${needs}.`,
        evidence: { statements: count, relations: table.relations, locks, needs },
        fixes: [],
      },
    ];
  });
}

function countOf({ members }: Table, scanned: readonly ScannedRelation[]): number {
  const own = new Set(members.map((pair) => JSON.stringify(pair)));
  return scanned.filter(({ schema, name }) => own.has(JSON.stringify([schema, name]))).length;
}

const LONGEST = 200;

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

function unpruned({ qualified, leaves }: Table, { text, from }: Query, read: number): Found {
  return {
    severity: 'warning',
    object: qualified,
    key: shorten(text),
    message: `A query reads ${read} of ${leaves} partitions of ${qualified}: ${shorten(text)}`,
    evidence: { query: shorten(text), from, partitionsRead: read, partitions: leaves },
    fixes: [],
  };
}

function unknown({ session }: Scene, { text, from }: Query, why: string): Found {
  return {
    severity: 'unknown',
    object: quoteIdentifier(session.server.database),
    key: shorten(text),
    message: `Whether a query prunes could not be seen. ${why} The query: ${shorten(text)}`,
    evidence: { query: shorten(text), from },
    fixes: [],
  };
}

function hiddenStatements({ session }: Scene, hidden: number): Found {
  return {
    severity: 'unknown',
    object: quoteIdentifier(session.server.database),
    message: `${hidden === 1 ? 'One statement' : `${hidden} statements`} of other roles in pg_stat_statements were not planned: planning runs functions that stand in them, with the rights of whoever plans. Run it as the application's role, or name its queries in the config file.`,
    evidence: { hidden },
    fixes: [],
  };
}
