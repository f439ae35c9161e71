import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { type Conflict, type NewLeaf, shellWord } from './ensure-plan.ts';
import type { DefaultPartition } from './read.ts';

/** How long ATTACH would scan DEFAULT while everybody waits. */
export interface DefaultScan {
  /** Null when the count was given up. */
  readonly rows: number | null;
  readonly milliseconds: number;
  /** The stall that is allowed: `--lock-timeout`. */
  readonly limitMs: number;
}

/** Below this size nobody notices the scan, and it is not measured. */
const SMALL_BYTES = 8 * 1024 * 1024;

/** How much longer than the limit a scan may take from a cold cache before it is given up. */
const COLD_FACTOR = 20;
const COLD_MS = 2000;

/**
 * Measures whether ATTACH would hold everybody up for too long beside this DEFAULT; null when it would not.
 *
 * ATTACH makes sure, under ACCESS EXCLUSIVE, that DEFAULT holds no row of the new leaf: it scans all of it, by one process
 * and without an index (14 to 18). The same scan under ACCESS SHARE takes as long. `scans` is how many there will be.
 */
export async function measureDefaultScan(
  session: Session,
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
  options: RunOptions,
  scans = 1,
): Promise<DefaultScan | null> {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const limitMs = options.budget.lockTimeoutMs;
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  const title = `Measure the scan of ${relation}`;
  const look = <T>(work: () => Promise<T>) =>
    underBudget(session, title, locks, options, () => reading(session, work, limitMs));
  if (await look(() => isSmall(session, defaultPartition))) return null;
  const once = async (): Promise<DefaultScan> => {
    const start = performance.now();
    try {
      return await look(() => scan(session, table, relation, limitMs));
    } catch (thrown) {
      session.signal.throwIfAborted();
      if (sqlstateOf(thrown) !== SQLSTATE.queryCanceled) throw thrown;
      return { rows: null, milliseconds: performance.now() - start, limitMs };
    }
  };
  const first = await once();
  // A cold cache says nothing; one that gave up does.
  const found = first.rows === null || first.milliseconds * scans <= limitMs ? first : await once();
  return found.milliseconds * scans > limitMs ? found : null;
}

async function isSmall(session: Session, { oid }: DefaultPartition): Promise<boolean> {
  const { rows } = await session.run<{ bytes: string }>(
    `with recursive tree (oid) as (
       select $1::oid union all select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
     )
     select coalesce(sum(pg_relation_size(t.oid)), 0)::text as bytes from tree t`,
    [oid],
  );
  return Number(rows[0]?.bytes ?? 0) < SMALL_BYTES;
}

async function scan(
  session: Session,
  { key }: PartitionedTable,
  relation: string,
  limitMs: number,
): Promise<DefaultScan> {
  const settings = ['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'].map(
    (name) => `set local ${name} to off`,
  );
  const cap = Math.max(COLD_MS, COLD_FACTOR * limitMs);
  await session.run(
    [
      ...settings,
      'set local max_parallel_workers_per_gather to 0',
      `set local statement_timeout to ${cap}`,
    ].join('; '),
  );
  const start = performance.now();
  const { rows } = await session.run<{ rows: string }>(
    `select count(d.${quoteIdentifier(key)})::text as rows from ${relation} d`,
  );
  return { rows: Number(rows[0]?.rows ?? 0), milliseconds: performance.now() - start, limitMs };
}

/** Makes the conflict of a DEFAULT that ATTACH would scan for too long while everybody waits. */
export function tooLarge(
  table: PartitionedTable,
  { schema, name }: DefaultPartition,
  { rows, milliseconds, limitMs }: DefaultScan,
): Omit<Conflict, 'range'> {
  const relation = qualifiedName(schema, name);
  const found = rows === null ? 'its rows' : `its ${rows} rows`;
  const took = `${rows === null ? 'more than ' : ''}${Math.round(milliseconds)} ms`;
  return {
    reason: 'default_too_large',
    message: `ATTACH scans ${relation} while everybody waits: reading ${found} took ${took}, and ${limitMs} ms are allowed.`,
    hint: `Allow --guard-default, which refuses rows of the period for the moment, or a longer --lock-timeout; or empty it: sensordb partitions drain --table ${shellWord(table.qualified)} --guard-default.`,
  };
}

/** Repeats a conflict for each range that it concerns. */
export function forEach(
  leaves: readonly Pick<NewLeaf, 'range'>[],
  conflict: Omit<Conflict, 'range'>,
): readonly Conflict[] {
  return leaves.map(({ range }) => ({ ...conflict, range }));
}
