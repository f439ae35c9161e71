import { sql } from 'kysely';
import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { inTransaction, reading } from '../db/transaction.ts';
import { BEGINNING, END, type Instant, parseInstant, type Range } from '../time/instant.ts';
import {
  type Counted,
  count,
  countNewRange,
  countRange,
  type Moments,
  NOTHING,
  type Span,
  workMemory,
} from './count.ts';
import { counting } from './counting.ts';
import { type ReadingsLeaf, readLeaves, spellInstant, toSpan } from './leaves.ts';
import { chooseEdges, estimateRows, weightsOf } from './slices.ts';
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

/** How many readings are counted in one transaction, by estimate: they are sorted in memory. */
const ROWS_A_PIECE = 1_000_000;

/** What the sorts and hashes of one counting transaction may take on the server. */
const WORK_MEMORY_MB = 128;

/** Splits the pending ranges of a source into pieces, and lists them from the latest on: what is recent is asked for most. */
export async function listPending(
  session: Session,
  source: Source,
  wanted: Wanted,
  { budget }: RunOptions,
): Promise<readonly Piece[]> {
  const { rows, leaves } = await reading(session, async () => ({
    rows: await readPending(session, wanted.id),
    leaves: await readLeaves(session, source),
  }));
  const { splits, pieces } = planPieces(rows, leaves, wanted);
  if (splits.length > 0) {
    await inTransaction(session, { access: 'read write', lockTimeoutMs: budget.lockTimeoutMs }, async () => {
      for (const statement of splits) await session.run(statement);
    });
  }
  return pieces;
}

/** Plans how pending ranges are split, at the ends of what is wanted, too, and which pieces are to be counted; pure. */
export function planPieces(
  pending: readonly Range[],
  leaves: readonly ReadingsLeaf[],
  wanted: Wanted,
): { readonly splits: readonly string[]; readonly pieces: readonly Piece[] } {
  const weights = weightsOf(leaves, wanted.cleanUntil);
  const ends = wanted.range === null ? [] : [wanted.range.lower, wanted.range.upper];
  const split = pending.map((range) => ({ range, edges: chooseEdges(range, weights, ROWS_A_PIECE, ends) }));
  return {
    splits: split
      .filter(({ edges }) => edges.length > 0)
      .map(({ range, edges }) => {
        const list = `{${edges.map((edge) => JSON.stringify(spellInstant(edge))).join()}}`;
        return sqlStatement('aggregates/split_pending.sql', {
          source: wanted.id,
          ...spell(range),
          edges: list,
        });
      }),
    pieces: split
      .flatMap(({ range, edges }) => cut(range, edges))
      .filter((range) => wanted.range === null || isWithin(range, wanted.range))
      .sort((a, b) => (a.upper < b.upper ? 1 : -1))
      .map((range) => ({
        ...spell(range),
        range,
        span: toSpan(range),
        rowsEstimate: estimateRows(range, weights),
      })),
  };
}

function cut({ lower, upper }: Range, edges: readonly Instant[]): readonly Range[] {
  const all = [lower, ...edges, upper];
  return all.slice(1).map((edge, at) => ({ lower: all[at] as Instant, upper: edge }));
}

function spell({ lower, upper }: Range) {
  return { lower: spellInstant(lower), upper: spellInstant(upper) };
}

function isWithin(inner: Range, outer: Range): boolean {
  return inner.lower >= outer.lower && inner.upper <= outer.upper;
}

async function readPending(session: Session, id: string): Promise<readonly Range[]> {
  const { rows } = await sql<{ lower: string; upper: string }>`
    select p.lower_bound::text as lower, p.upper_bound::text as upper
      from sensordb.aggregate_pending p
     where p.source_id = ${id}::bigint`.execute(session.db);
  return rows.map(({ lower, upper }) => ({
    lower: parseInstant(lower) ?? BEGINNING,
    upper: parseInstant(upper) ?? END,
  }));
}

/** Makes the statements that count one piece and take it off the list: the first gives a row if it was there still. */
export function pieceStatements(source: Source, id: string, { lower, upper, span }: Piece) {
  const { table, aggregates } = source;
  const values = { source: id, lower, upper, last: span.last, schema: table.schema, aggregates };
  return {
    take: sqlStatement('aggregates/take_pending.sql', values),
    memory: workMemory(WORK_MEMORY_MB),
    count: (hasStored: boolean) => (moments: Moments) =>
      hasStored ? countRange(source, span, moments) : countNewRange(source, span, moments),
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
    const { rows } = await session.run<{ hasStored: boolean }>(statements.take);
    const [taken] = rows;
    if (taken === undefined) return NOTHING;
    await session.run(statements.memory);
    return await count(session, source, piece.span, statements.count(taken.hasStored));
  });
}
