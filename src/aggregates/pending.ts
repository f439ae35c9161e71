import { sql } from 'kysely';
import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { inTransaction, reading } from '../db/transaction.ts';
import { BEGINNING, END, formatBound, type Instant, parseInstant, type Range } from '../time/instant.ts';
import { type Counted, count, countRange, NOTHING, type Span, workMemory } from './count.ts';
import { counting } from './counting.ts';
import { readLeaves } from './leaves.ts';
import { chooseEdges, estimateRows, type Weight, weightsOf } from './slices.ts';
import type { Source } from './source.ts';

/** A range that is to be counted as a whole, in one transaction; its bounds as PostgreSQL spells them. */
export interface Piece {
  readonly lower: string;
  readonly upper: string;
  readonly span: Span;
  readonly range: Range;
  /** What the statistics say; for progress alone. */
  readonly rowsEstimate: number;
}

/** Which pending ranges are meant. */
export interface Wanted {
  /** Of the source. */
  readonly id: string;
  readonly cleanUntil: Instant;
  /** Only what lies within; null: all. */
  readonly range: Range | null;
}

/** How many readings are counted in one transaction, by estimate: their device-hours are held in memory. */
const ROWS_A_PIECE = 2_000_000;

/** What the sorts and hashes of one counting transaction may take on the server. */
const WORK_MEMORY_MB = 128;

/** Splits the pending ranges of a source into pieces, and lists them from the latest on: what is recent is asked for most. */
export async function listPending(
  session: Session,
  source: Source,
  wanted: Wanted,
  { budget }: RunOptions,
): Promise<readonly Piece[]> {
  const { rows, weights } = await reading(session, async () => ({
    rows: await readPending(session, wanted.id),
    weights: weightsOf(await readLeaves(session, source), wanted.cleanUntil),
  }));
  const splits = splitStatements(rows, weights, wanted);
  if (splits.length > 0) {
    await inTransaction(session, { access: 'read write', lockTimeoutMs: budget.lockTimeoutMs }, async () => {
      for (const statement of splits) await session.run(statement);
    });
  }
  const pieces = splits.length === 0 ? rows : await reading(session, () => readPending(session, wanted.id));
  return toPieces(pieces, weights, wanted);
}

/** A row of the list of pending ranges. */
export interface PendingRow {
  readonly lower: string;
  readonly upper: string;
  /** The last instant within. */
  readonly last: string;
}

/** Makes the statements that split pending ranges into pieces, and at the ends of what is wanted. */
export function splitStatements(
  rows: readonly PendingRow[],
  weights: readonly Weight[],
  { id, range }: Wanted,
): readonly string[] {
  return rows.flatMap((row) => {
    const whole = rangeOf(row);
    const ends = range === null ? [] : [range.lower, range.upper];
    const edges = chooseEdges(whole, weights, ROWS_A_PIECE, ends);
    if (edges.length === 0) return [];
    const list = `{${edges.map((edge) => JSON.stringify(formatBound(edge, 'timestamptz'))).join()}}`;
    const { lower, upper } = row;
    return [sqlStatement('aggregates/split_pending.sql', { source: id, lower, upper, edges: list })];
  });
}

/** Lists the pieces that are wanted. */
export function toPieces(
  rows: readonly PendingRow[],
  weights: readonly Weight[],
  wanted: Wanted,
): readonly Piece[] {
  return rows
    .map(({ lower, upper, last }): Piece => {
      const range = rangeOf({ lower, upper });
      return { lower, upper, span: { lower, last }, range, rowsEstimate: estimateRows(range, weights) };
    })
    .filter(({ range }) => wanted.range === null || isWithin(range, wanted.range));
}

function isWithin(inner: Range, outer: Range): boolean {
  return inner.lower >= outer.lower && inner.upper <= outer.upper;
}

function rangeOf({ lower, upper }: Pick<PendingRow, 'lower' | 'upper'>): Range {
  return { lower: parseInstant(lower) ?? BEGINNING, upper: parseInstant(upper) ?? END };
}

async function readPending(session: Session, id: string): Promise<readonly PendingRow[]> {
  const { rows } = await sql<PendingRow>`
    select p.lower_bound::text as lower, p.upper_bound::text as upper,
           -- Before the earliest instant there is -infinity alone.
           case when p.upper_bound = '4714-11-24 00:00:00+00 BC' then '-infinity'
                else (p.upper_bound - interval '1 microsecond')::text end as last
      from sensordb.aggregate_pending p
     where p.source_id = ${id}::bigint
     order by p.upper_bound desc`.execute(session.db);
  return rows;
}

/** Makes the statements that count one piece and take it off the list: the first says whether it was there still. */
export function pieceStatements(source: Source, id: string, { lower, upper, span }: Piece) {
  return {
    take: sqlStatement('aggregates/take_pending.sql', { source: id, lower, upper }),
    memory: workMemory(WORK_MEMORY_MB),
    count: (moments: 'moments' | 'moments_or_nan') => countRange(source, span, moments),
  };
}

/** Counts one pending range and takes it off the list, in one transaction; nothing when another run did. */
export async function countPiece(
  session: Session,
  source: Source,
  id: string,
  piece: Piece,
  options: RunOptions,
): Promise<Counted> {
  const statements = pieceStatements(source, id, piece);
  return await counting(session, source, id, options, async () => {
    const { rows } = await session.run<{ taken: number }>(statements.take);
    if (rows[0]?.taken !== 1) return NOTHING;
    await session.run(statements.memory);
    return await count(session, statements.count);
  });
}
