import { usageError } from '../cli/errors.ts';
import {
  END,
  formatInstantShort,
  fromCivil,
  type Instant,
  type KeyType,
  type Range,
} from '../time/instant.ts';
import {
  addPeriods,
  exactSuffix,
  INTERVALS,
  type Interval,
  intervalOf,
  listPeriods,
  periodCeiling,
  periodStart,
  periodSuffix,
} from '../time/periods.ts';
import { compare, holesIn, isBounded, overlaps } from './coverage.ts';
import { fitName } from './names.ts';
import type { Leaf } from './read.ts';

/** No run makes more leaves than this: beyond it lies a typing error, or a clock gone mad. */
const MOST_LEAVES = 10_000;

/** How far ahead partitions shall exist: so many periods after the current one, or until an instant (exclusive). */
export type Horizon =
  | { readonly kind: 'ahead'; readonly count: number; readonly unit: 'month' | 'week' | 'day' }
  | { readonly kind: 'until'; readonly until: Instant };

/** What the user asked `partitions ensure` for. */
export interface EnsureRequest {
  readonly horizon: Horizon;
  /** Null: from the current period on. */
  readonly from: Instant | null;
  /** Null: that of the leaves there are. */
  readonly interval: Interval | null;
}

/** A range that shall become a leaf, and how it would be named. */
export interface Hole {
  readonly range: Range;
  /** `whole`: a period; `part`: what other leaves leave of one. */
  readonly extent: 'whole' | 'part';
  /** In the order of preference; the later ones are taken only when another leaf of this table has the earlier. */
  readonly names: readonly string[];
}

/** The pure first half of the plan: what is asked, what is there, what is missing. */
export interface EnsureSketch {
  readonly interval: Interval;
  /** Widened to whole periods. */
  readonly range: Range;
  /** Leaves that have an instant of the range. */
  readonly existing: readonly Leaf[];
  readonly holes: readonly Hole[];
}

/**
 * Works out which leaves are missing; pure, all arithmetic in UTC.
 *
 * A leaf that covers part of a period counts as existing; the rest of the period is a hole with its exact bounds.
 * Throws usage errors: an empty range, more than 10,000 leaves, an interval that cannot be told.
 */
export function sketchEnsure(
  table: { readonly name: string; readonly keyType: KeyType },
  leaves: readonly Leaf[],
  request: EnsureRequest,
  now: Instant,
): EnsureSketch {
  const interval = request.interval ?? inferInterval(table.name, leaves);
  const range = widen(request, interval, now);
  const periods = listPeriods(range.lower, range.upper, interval, MOST_LEAVES);
  refuseTooMany(periods, interval);
  const existing = leaves.filter((leaf) => overlaps(leaf.range, range));
  // A pending detach takes no rows, but its bounds are taken: a leaf over them would be refused (42P17).
  const occupied = existing.map((leaf) => leaf.range);
  const holes = holesIn(range, occupied)
    .flatMap((hole) => cutAtPeriods(hole, periods))
    .map((hole) => nameHole(table.name, hole, interval));
  return { interval, range, existing, holes };
}

/**
 * Works out which leaves some periods of an interval are missing, as `sketchEnsure` does for a whole range.
 *
 * Throws a usage error for more than 10,000 periods.
 */
export function sketchPeriods(
  table: { readonly name: string },
  leaves: readonly Leaf[],
  starts: readonly Instant[],
  interval: Interval,
): Pick<EnsureSketch, 'existing' | 'holes'> {
  const periods = starts.map((lower) => ({ lower, upper: addPeriods(lower, interval, 1) }));
  refuseTooMany(periods, interval);
  const [first, last] = [periods[0], periods.at(-1)];
  if (first === undefined || last === undefined) return { existing: [], holes: [] };
  const occupied = leaves.map((leaf) => leaf.range);
  const holes = holesIn({ lower: first.lower, upper: last.upper }, occupied)
    .flatMap((hole) => cutAtPeriods(hole, periods))
    .map((hole) => nameHole(table.name, hole, interval));
  const existing = leaves.filter((leaf) => periods.some((period) => overlaps(leaf.range, period)));
  return { existing, holes };
}

function refuseTooMany(periods: readonly Range[], interval: Interval): void {
  if (periods.length <= MOST_LEAVES) return;
  throw usageError('too_many_leaves', `That is more than ${MOST_LEAVES} leaves of one ${interval} each.`, {
    hint: 'Ask for a nearer horizon, or for a longer --interval.',
  });
}

/**
 * Tells the interval of the leaves there are: that of the newest one that is a calendar period.
 *
 * Left out is what merely fills up a period of a coarser interval beside a leaf that is no period: [30 November, 1 December)
 * after a legacy leaf up to the 30th is one day long, and does not make a monthly table a daily one.
 */
export function inferInterval(table: string, leaves: readonly Leaf[]): Interval {
  const bounded = leaves.filter(({ range }) => isBounded(range));
  const newestFirst = bounded.toSorted((a, b) => compare(b.range.lower, a.range.lower));
  const known = new Set(bounded.map(({ range }) => intervalOf(range)));
  const odd = bounded.filter(({ range }) => intervalOf(range) === null);
  const fillsUp = ({ lower }: Range, interval: Interval): boolean =>
    INTERVALS.slice(INTERVALS.indexOf(interval) + 1).some((coarser) => {
      const start = periodStart(lower, coarser);
      const period = { lower: start, upper: addPeriods(start, coarser, 1) };
      return known.has(coarser) && odd.some(({ range }) => overlaps(range, period));
    });
  for (const { range } of newestFirst) {
    const interval = intervalOf(range);
    if (interval !== null && !fillsUp(range, interval)) return interval;
  }
  const [newest] = newestFirst;
  if (newest === undefined) return 'month';
  const { lower, upper } = newest.range;
  throw usageError(
    'unknown_interval',
    `The leaves of ${table} are no calendar periods in UTC: ${newest.name} runs from ${formatInstantShort(lower)} to ${formatInstantShort(upper)}.`,
    { object: table, hint: 'Say what new leaves shall be: --interval day, week, month, quarter or year.' },
  );
}

function widen(request: EnsureRequest, interval: Interval, now: Instant): Range {
  const lower = periodStart(request.from ?? now, interval);
  const { horizon } = request;
  const end = horizon.kind === 'until' ? horizon.until : aheadOf(now, horizon.unit, horizon.count);
  const upper = periodCeiling(end, interval);
  // Widened, yesterday would be this month: who asks for what is over by now has mistyped.
  if ((request.from ?? now) < end) return { lower, upper };
  throw usageError(
    'empty_range',
    `Nothing lies between ${formatInstantShort(request.from ?? now)} (inclusive) and ${formatInstantShort(end)} (exclusive).`,
    { hint: 'Give an --until after --from; without --from the range begins now.' },
  );
}

const UNITS_A_YEAR = { month: 12, week: 52, day: 365 } as const;
const LAST_YEAR = 9999;

function aheadOf(now: Instant, unit: 'month' | 'week' | 'day', count: number): Instant {
  // The estimate first: the largest count that --months takes overflows what a Date can hold.
  const isFar = count / UNITS_A_YEAR[unit] > LAST_YEAR;
  const end = isFar ? END : addPeriods(periodStart(now, unit), unit, count + 1);
  if (end <= fromCivil(LAST_YEAR + 1, 1, 1)) return end;
  throw usageError('too_far', `${count} ${unit}s from now is after the year ${LAST_YEAR}.`, {
    hint: 'Ask for a nearer horizon.',
    object: `--${unit}s`,
  });
}

function cutAtPeriods(
  hole: Range,
  periods: readonly Range[],
): readonly (Range & { readonly whole: boolean })[] {
  return periods
    .filter((period) => overlaps(hole, period))
    .map((period) => {
      const lower = period.lower > hole.lower ? period.lower : hole.lower;
      const upper = period.upper < hole.upper ? period.upper : hole.upper;
      return { lower, upper, whole: lower === period.lower && upper === period.upper };
    });
}

function nameHole(table: string, hole: Range & { readonly whole: boolean }, interval: Interval): Hole {
  const { lower, upper, whole } = hole;
  const byPeriod = fitName(table, periodSuffix(lower, interval));
  const exact = fitName(table, exactSuffix(lower));
  const names = whole ? [byPeriod] : periodStart(lower, interval) === lower ? [byPeriod, exact] : [exact];
  return { range: { lower, upper }, extent: whole ? 'whole' : 'part', names: [...new Set(names)] };
}
