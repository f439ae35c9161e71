import { sql } from 'kysely';
import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { inTransaction, reading } from '../db/transaction.ts';
import { BEGINNING, END, formatBound, type Instant, parseInstant, type Range } from '../time/instant.ts';
import { type Counted, count, countRange, NOTHING, type Span, workMemory } from './count.ts';
import { counting } from './counting.ts';
import { readLeaves } from './leaves.ts';
import { chooseEdges, type Weight, weightsOf } from './slices.ts';
import type { Source } from './source.ts';

/** A range that is to be counted as a whole, in one transaction. */
export interface Pending {
  readonly id: string;
  readonly span: Span;
  /** What the statistics say; for progress alone. */
  readonly rowsEstimate: number;
}

/** How many readings are counted in one transaction, by estimate: their device-hours are held in memory. */
const ROWS_A_PIECE = 2_000_000;

/** What the sorts and hashes of one counting transaction may take on the server. */
const WORK_MEMORY_MB = 128;

/** Splits the pending ranges of a source into pieces, and lists them from the latest on: what is recent is asked for most. */
export async function listPending(
  session: Session,
  source: Source,
  { id, cleanUntil }: { readonly id: string; readonly cleanUntil: Instant },
  { budget }: RunOptions,
): Promise<readonly Pending[]> {
  const { rows, weights } = await reading(session, async () => ({
    rows: await readPending(session, id),
    weights: weightsOf(await readLeaves(session, source), cleanUntil),
  }));
  const splits = rows
    .map((row) => ({ id: row.id, edges: chooseEdges(rangeOf(row), weights, ROWS_A_PIECE) }))
    .filter(({ edges }) => edges.length > 0);
  if (splits.length > 0) {
    await inTransaction(session, { access: 'read write', lockTimeoutMs: budget.lockTimeoutMs }, async () => {
      for (const split of splits) {
        const edges = `{${split.edges.map((edge) => JSON.stringify(formatBound(edge, 'timestamptz'))).join()}}`;
        await session.run(sqlStatement('aggregates/split_pending.sql', { id: split.id, edges }));
      }
    });
  }
  const pieces = splits.length === 0 ? rows : await reading(session, () => readPending(session, id));
  return pieces.map((row) => ({
    id: row.id,
    span: { lower: row.lower, last: row.last },
    rowsEstimate: estimate(rangeOf(row), weights),
  }));
}

interface PendingRow {
  readonly id: string;
  readonly lower: string;
  readonly upper: string;
  readonly last: string;
}

function rangeOf({ lower, upper }: PendingRow): Range {
  return { lower: parseInstant(lower) ?? BEGINNING, upper: parseInstant(upper) ?? END };
}

async function readPending(session: Session, id: string): Promise<readonly PendingRow[]> {
  const { rows } = await sql<PendingRow>`
    select p.id::text as id, p.lower_bound::text as lower, p.upper_bound::text as upper,
           -- Before the earliest instant there is -infinity alone.
           case when p.upper_bound = '4714-11-24 00:00:00+00 BC' then '-infinity'
                else (p.upper_bound - interval '1 microsecond')::text end as last
      from sensordb.aggregate_pending p
     where p.source_id = ${id}::bigint
     order by p.upper_bound desc`.execute(session.db);
  return rows;
}

function estimate(range: Range, weights: readonly Weight[]): number {
  return weights.reduce((total, { range: leaf, rows }) => {
    const lower = leaf.lower > range.lower ? leaf.lower : range.lower;
    const upper = leaf.upper < range.upper ? leaf.upper : range.upper;
    if (lower >= upper) return total;
    const share = Number(upper - lower) / Number(leaf.upper - leaf.lower);
    return total + rows * (Number.isFinite(share) ? share : 1);
  }, 0);
}

/** Counts one pending range and takes it off the list, in one transaction; nothing when another run did. */
export async function countPending(
  session: Session,
  source: Source,
  { id, span }: Pending,
  options: RunOptions,
): Promise<Counted> {
  return await counting(session, source, options, async () => {
    const { rows } = await session.run<{ taken: number }>(
      sqlStatement('aggregates/take_pending.sql', { id }),
    );
    if (rows[0]?.taken !== 1) return NOTHING;
    await session.run(workMemory(WORK_MEMORY_MB));
    return await count(session, (moments) => countRange(source, span, moments));
  });
}
