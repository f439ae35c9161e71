import type { Instant, Range } from './instant.ts';

/** Merges ranges that touch or overlap, in ascending order. */
export function mergeRanges(ranges: readonly Range[]): readonly Range[] {
  const sorted = ranges.toSorted((a, b) => compare(a.lower, b.lower));
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && range.lower <= last.upper) {
      const upper = range.upper > last.upper ? range.upper : last.upper;
      merged[merged.length - 1] = { lower: last.lower, upper };
    } else merged.push(range);
  }
  return merged;
}

const compare = (a: Instant, b: Instant): number => (a < b ? -1 : a > b ? 1 : 0);
