import { quoteIdentifier } from '../db/quote.ts';
import type { Found } from './check.ts';
import { sqlFix } from './fix.ts';
import { describeLarge, type PartitionedTable } from './pruning-tables.ts';
import type { Scene } from './scene.ts';
import type { Query } from './seen-queries.ts';

const LONGEST = 200;

/** Prints a query in one line, which ends early. */
export function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}

const databaseOf = ({ session }: Scene): string => quoteIdentifier(session.server.database);

const statements = (count: number): string => `${count} ${count === 1 ? 'statement' : 'statements'}`;

/** Reports that nothing prunes, whatever the query. */
export function switchedOff(scene: Scene): Found {
  const database = databaseOf(scene);
  return {
    severity: 'critical',
    object: database,
    message: 'enable_partition_pruning is off: every query reads every partition.',
    evidence: { setting: 'enable_partition_pruning', value: 'off' },
    fixes: [sqlFix('setting', `alter database ${database} set enable_partition_pruning to on`)],
  };
}

/** Reports a query that reads so many partitions of a table. */
export function unpruned(
  { qualified, leaves }: PartitionedTable,
  { text, from }: Query,
  read: number,
): Found {
  return {
    severity: 'warning',
    object: qualified,
    key: shorten(text),
    message: `A query reads ${read} of ${leaves} partitions of ${qualified}: ${shorten(text)}`,
    evidence: { query: shorten(text), from, partitionsRead: read, partitions: leaves },
    fixes: [],
  };
}

/** Reports a query of the config file that could not be planned. */
export function unplanned(scene: Scene, { text, from }: Query, why: string): Found {
  return {
    severity: 'unknown',
    object: databaseOf(scene),
    key: shorten(text),
    message: `Whether a query prunes could not be seen. ${why} The query: ${shorten(text)}`,
    evidence: { query: shorten(text), from },
    fixes: [],
  };
}

/** Reports once a table what pg_stat_statements has seen of it, and what would take too many locks to plan. */
export function tooLarge(table: PartitionedTable, count: number, locks: number): Found {
  const needs = 'a larger max_locks_per_transaction';
  return {
    severity: 'unknown',
    object: table.qualified,
    message: `Whether ${statements(count)} of pg_stat_statements prune could not be seen. ${describeLarge(table, locks)}. It needs ${needs}.`,
    evidence: { statements: count, relations: table.relations, locks, needs },
    fixes: [],
  };
}

/** Reports statements that pg_stat_statements has, and that a role has no business to plan. */
export function hiddenStatements(scene: Scene, hidden: number): Found {
  return {
    severity: 'unknown',
    object: databaseOf(scene),
    message: `${hidden === 1 ? 'One statement' : `${hidden} statements`} of other roles in pg_stat_statements were not planned: planning runs functions that stand in them, with the rights of whoever plans. Run it as the application's role, or name its queries in the config file.`,
    evidence: { hidden },
    fixes: [],
  };
}

/** Reports statements in whose way somebody held a lock. */
export function lockedOut(scene: Scene, count: number): Found {
  return {
    severity: 'unknown',
    object: databaseOf(scene),
    key: 'locked',
    message: `Whether ${statements(count)} prune could not be seen: somebody holds a lock on what they read.`,
    evidence: { notPlanned: count },
    fixes: [],
  };
}

/** Reports what the time did not do for. */
export function tooLate(scene: Scene, count: number, all: number, seconds: number): Found {
  return {
    severity: 'unknown',
    object: databaseOf(scene),
    key: 'late',
    message: `Whether ${count} of ${statements(all)} prune could not be seen: planning took longer than ${seconds} s in all. A larger threshold (query_pruning.seconds) lets it take longer.`,
    evidence: { notPlanned: count, statements: all, seconds },
    fixes: [],
  };
}
