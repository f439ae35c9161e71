import { BEGINNING, END, type Instant, type Range } from '../time/instant.ts';
import { mergeRanges } from '../time/ranges.ts';

/** Until when inserts find a partition other than DEFAULT, from now on without a gap. */
export type Runway =
  | { readonly state: 'until'; readonly until: Instant }
  | { readonly state: 'unbounded' }
  | { readonly state: 'none' };

/** Finds what of a range is not covered. */
export function holesIn(range: Range, covered: readonly Range[]): readonly Range[] {
  const holes: Range[] = [];
  let from = range.lower;
  for (const { lower, upper } of mergeRanges(covered)) {
    if (upper <= from) continue;
    if (lower >= range.upper) break;
    if (lower > from) holes.push({ lower: from, upper: lower });
    from = upper;
  }
  if (from < range.upper) holes.push({ lower: from, upper: range.upper });
  return holes;
}

/** Finds the gaps between the first and the last covered instant. */
export function gapsOf(covered: readonly Range[]): readonly Range[] {
  const merged = mergeRanges(covered);
  const first = merged[0];
  const last = merged.at(-1);
  if (first === undefined || last === undefined) return [];
  return holesIn({ lower: first.lower, upper: last.upper }, merged);
}

/** Finds how long inserts at the present time keep finding a partition. */
export function runwayOf(covered: readonly Range[], now: Instant): Runway {
  const current = mergeRanges(covered).find(({ lower, upper }) => lower <= now && now < upper);
  if (current === undefined) return { state: 'none' };
  return current.upper === END ? { state: 'unbounded' } : { state: 'until', until: current.upper };
}

/** Tells whether two half-open ranges have an instant in common. */
export function overlaps(a: Range, b: Range): boolean {
  return a.lower < b.upper && b.lower < a.upper;
}

/** Orders instants and bounds, for sort. */
export function compare(a: Instant, b: Instant): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Tells whether a range has both ends. */
export function isBounded({ lower, upper }: Range): boolean {
  return lower !== BEGINNING && upper !== END;
}
