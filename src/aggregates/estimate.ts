import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { BEGINNING, END } from '../time/instant.ts';
import { toSpan } from './leaves.ts';
import type { Piece } from './pending.ts';
import type { Source } from './source.ts';

/** How many readings are aggregated to see how fast the server is. */
const SAMPLE_ROWS = 100_000;

/**
 * What the sample does is about half of the work, writing and sketches are the rest: without sketches it was three fifths, measured on
 * 14 and 18 with 4 to 60 readings an hour, and they make the whole a quarter longer (on 18).
 */
const READING_SHARE = 0.5;

/**
 * Estimates how long it takes to count pieces, in whole seconds, by aggregating a sample of the readings, which writes nothing.
 *
 * Null when there is nothing to measure by.
 */
export async function estimateSeconds(
  session: Session,
  source: Source,
  pieces: readonly Piece[],
  jobs: number,
): Promise<number | null> {
  const [largest] = pieces.toSorted((a, b) => b.rowsEstimate - a.rowsEstimate);
  if (largest === undefined || largest.rowsEstimate < 1) return null;
  const start = performance.now();
  const rows = await reading(session, () => aggregateSample(session, source, largest));
  const seconds = (performance.now() - start) / 1000;
  if (rows === 0) return null;
  const all = pieces.reduce((total, { rowsEstimate }) => total + rowsEstimate, 0);
  return Math.ceil((all * seconds) / rows / READING_SHARE / Math.min(jobs, pieces.length));
}

async function aggregateSample(
  session: Session,
  { table }: Source,
  { range, span, rowsEstimate }: Piece,
): Promise<number> {
  const isBounded = range.lower !== BEGINNING && range.upper !== END;
  const share = Math.min(1, SAMPLE_ROWS / rowsEstimate);
  const length = BigInt(Math.ceil(Number(range.upper - range.lower) * share));
  const part = isBounded ? toSpan({ lower: range.lower, upper: range.lower + length }) : span;
  const { rows } = await session.run<{ rows: number }>(
    `select coalesce(sum(n), 0)::float8 as rows
       from (select count(*) as n, sum(s.value), var_pop(s.value), min(s.value), max(s.value), min(s."timestamp"), max(s."timestamp"),
                    (array_agg(s.value order by s."timestamp", s.id))[1]
               from (select * from ${table.qualified} r
                      where r."timestamp" >= ${quoteLiteral(part.lower)} and r."timestamp" <= ${quoteLiteral(part.last)}
                      limit ${SAMPLE_ROWS}) s
              group by s.device_id, date_trunc('hour', s."timestamp")) x`,
  );
  return rows[0]?.rows ?? 0;
}
