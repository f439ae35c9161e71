import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { BEGINNING, END, parseInstant, type Range } from '../time/instant.ts';
import type { Span } from './count.ts';
import { ceilHour, floorHour } from './hours.ts';
import { toSpan } from './leaves.ts';

/** Reads the ranges whose raw rows went with a leaf, as far as a refresh has noted it, widened to whole hours. */
export async function readRetired(session: Session, id: string): Promise<readonly Range[]> {
  const { rows } = await sql<{ lower: string; upper: string }>`
    select r.lower_bound::text as lower, r.upper_bound::text as upper
      from sensordb.aggregate_retired r where r.source_id = ${id}::bigint order by r.lower_bound`.execute(
    session.db,
  );
  return rows.map(({ lower, upper }) => {
    const [from, to] = [parseInstant(lower) ?? BEGINNING, parseInstant(upper) ?? END];
    return {
      lower: from === BEGINNING ? from : floorHour(from),
      upper: to === END ? to : ceilHour(to),
    };
  });
}

/** Gives what is left of a span of whole hours without some ranges; pure. */
export function withoutRanges(span: Span, ranges: readonly Range[]): readonly Span[] {
  const last = parseInstant(span.last) ?? END;
  const whole = { lower: parseInstant(span.lower) ?? BEGINNING, upper: last === END ? END : last + 1n };
  const parts = subtractRanges(whole, ranges);
  return parts.length === 1 && parts[0] === whole ? [span] : parts.map(toSpan);
}

/** Gives what is left of a range without some others, itself where they leave it whole; pure. */
export function subtractRanges(whole: Range, ranges: readonly Range[]): readonly Range[] {
  return ranges.reduce<readonly Range[]>(
    (left, { lower, upper }) =>
      left.flatMap((part) => {
        if (part.upper <= lower || part.lower >= upper) return [part];
        return [
          { lower: part.lower, upper: lower },
          { lower: upper, upper: part.upper },
        ].filter((piece) => piece.lower < piece.upper);
      }),
    [whole],
  );
}
