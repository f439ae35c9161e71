import { compare, gapsOf } from '../partitions/coverage.ts';
import { BEGINNING, END, type Instant, type Range } from '../time/instant.ts';
import { addPeriods, periodStart } from '../time/periods.ts';
import type { PeriodRows } from './default-rows.ts';
import { intervalOfCommands } from './ensure-fix.ts';
import type { TimeTable } from './time-table.ts';

/** Which rows in a DEFAULT are near its partitions and the present, and what holes leaves for those leave. */
export interface Reach {
  /** Rows before the first, and from the second on, are far from all others; null: there are none such. */
  readonly notBefore: Instant | null;
  readonly notAfter: Instant | null;
  /** How many those are. */
  readonly farRows: number;
  /** What lies between the leaves there are and the new ones and gets none, in the order of time: before those there are, and after. */
  readonly holes: readonly (readonly Range[])[];
}

/** Longer than this nothing stands still whose clock is right: a year. */
const LONG = 366n * 86_400_000_000n;

interface Period extends Range {
  readonly rows: number;
}

/**
 * Goes from the partitions there are, and from the present, to the rows before and after, as far as no long hole lies between; pure.
 *
 * The limits are where the far rows begin, not where the near ones end: what comes in meanwhile is to get its leaf.
 */
export function reachOf(table: TimeTable, periods: readonly PeriodRows[], now: Instant): Reach {
  const interval = intervalOfCommands(table);
  const whole = (lower: Instant): Range => ({ lower, upper: addPeriods(lower, interval, 1) });
  const ranges = table.leaves.map(({ range }) => range);
  const [first, last] = [lowest(ranges), highest(ranges)];
  const { extent } = table;
  // What a table without partitions is for only its rows tell.
  if (ranges.length === 0)
    return {
      notBefore: null,
      notAfter: null,
      farRows: 0,
      holes: [gapsOf(periods.map(({ start }) => whole(start)))],
    };
  const isCurrent = now >= extent.lower && now < extent.upper;
  const known = [...ranges, ...(isCurrent ? [whole(periodStart(now, interval))] : [])];
  const all = periods
    .map(({ start, rows }): Period => ({ ...whole(start), rows }))
    .toSorted((a, b) => compare(a.lower, b.lower));
  const [near, far] = split(all, known);
  const before = far.filter(({ upper }) => upper <= lowest(known)).at(-1);
  const after = far.find(({ lower }) => lower >= highest(known));
  const gaps = gapsOf([...ranges, ...near]);
  const sides = [gaps.filter(({ upper }) => upper <= first), gaps.filter(({ lower }) => lower >= last)];
  return {
    notBefore: before?.upper ?? null,
    notAfter: after?.lower ?? null,
    farRows: far.reduce((sum, { rows }) => sum + rows, 0),
    // Those between partitions that are there are theirs: partition_gaps finds them.
    holes: sides,
  };
}

/** Tells the near from the far. */
function split(
  all: readonly Period[],
  known: readonly Range[],
): readonly [readonly Period[], readonly Period[]] {
  let [lower, upper] = [lowest(known), highest(known)];
  for (const period of all) {
    if (period.upper > upper && period.lower - upper <= LONG) upper = period.upper;
  }
  for (const period of all.toReversed()) {
    if (period.lower < lower && lower - period.upper <= LONG) lower = period.lower;
  }
  const isNear = (period: Period): boolean => period.upper > lower && period.lower < upper;
  return [all.filter(isNear), all.filter((period) => !isNear(period))];
}

const lowest = (ranges: readonly Range[]): Instant =>
  ranges.reduce((least, { lower }) => (lower < least ? lower : least), END);

const highest = (ranges: readonly Range[]): Instant =>
  ranges.reduce((most, { upper }) => (upper > most ? upper : most), BEGINNING);
