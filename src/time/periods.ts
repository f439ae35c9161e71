import { fromCivil, type Instant, type Range, toDate } from './instant.ts';

/** The calendar intervals a partition can have, all in UTC; weeks are ISO weeks and start on Monday. */
export const INTERVALS = ['day', 'week', 'month', 'quarter', 'year'] as const;
export type Interval = (typeof INTERVALS)[number];

/** Finds the start of the period that contains an instant. */
export function periodStart(instant: Instant, interval: Interval): Instant {
  const date = toDate(instant);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth() + 1;
  switch (interval) {
    case 'day':
      return fromCivil(year, month, date.getUTCDate());
    case 'week':
      // getUTCDay counts from Sunday; ISO 8601 weeks start on Monday.
      return fromCivil(year, month, date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
    case 'month':
      return fromCivil(year, month, 1);
    case 'quarter':
      return fromCivil(year, month - ((month - 1) % 3), 1);
    case 'year':
      return fromCivil(year, 1, 1);
  }
}

/** Adds whole periods to the start of a period; never to an arbitrary instant, so no month end can overflow. */
export function addPeriods(start: Instant, interval: Interval, count: number): Instant {
  const date = toDate(start);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth() + 1;
  const day = date.getUTCDate();
  switch (interval) {
    case 'day':
      return fromCivil(year, month, day + count);
    case 'week':
      return fromCivil(year, month, day + 7 * count);
    case 'month':
      return fromCivil(year, month + count, day);
    case 'quarter':
      return fromCivil(year, month + 3 * count, day);
    case 'year':
      return fromCivil(year + count, month, day);
  }
}

/** Finds the first period start at or after an instant. */
export function periodCeiling(instant: Instant, interval: Interval): Instant {
  const start = periodStart(instant, interval);
  return start === instant ? instant : addPeriods(start, interval, 1);
}

/** Lists the periods from one period start to another, both given as starts; at most `limit` + 1 of them. */
export function listPeriods(
  from: Instant,
  until: Instant,
  interval: Interval,
  limit: number,
): readonly Range[] {
  const periods: Range[] = [];
  for (let lower = from; lower < until && periods.length <= limit; ) {
    const upper = addPeriods(lower, interval, 1);
    periods.push({ lower, upper });
    lower = upper;
  }
  return periods;
}

/** Tells which calendar interval a range is one whole period of, or null. */
export function intervalOf({ lower, upper }: Range): Interval | null {
  const isOne = (interval: Interval): boolean =>
    periodStart(lower, interval) === lower && addPeriods(lower, interval, 1) === upper;
  return INTERVALS.find(isOne) ?? null;
}

/** Gives the ISO 8601 week of an instant; its year is that of the week's Thursday. */
export function isoWeek(instant: Instant): { readonly year: number; readonly week: number } {
  const thursday = addPeriods(periodStart(instant, 'week'), 'day', 3);
  const year = toDate(thursday).getUTCFullYear();
  const days = Number((thursday - fromCivil(year, 1, 1)) / 86_400_000_000n);
  return { year, week: Math.floor(days / 7) + 1 };
}

/**
 * Names a period by its lower bound: `_2026`, `_2026_q1`, `_2026_01`, `_2026_w05`, `_2026_01_31`.
 */
export function periodSuffix(lower: Instant, interval: Interval): string {
  const date = toDate(lower);
  const year = yearText(date.getUTCFullYear());
  const month = twoDigits(date.getUTCMonth() + 1);
  switch (interval) {
    case 'day':
      return `_${year}_${month}_${twoDigits(date.getUTCDate())}`;
    case 'week': {
      const iso = isoWeek(lower);
      return `_${yearText(iso.year)}_w${twoDigits(iso.week)}`;
    }
    case 'month':
      return `_${year}_${month}`;
    case 'quarter':
      return `_${year}_q${Math.floor(date.getUTCMonth() / 3) + 1}`;
    case 'year':
      return `_${year}`;
  }
}

/** Names a part of a period by its exact lower bound: `_2026_01_15`, `_2026_01_15_0930`, down to the microsecond. */
export function exactSuffix(lower: Instant): string {
  const date = toDate(lower);
  const day = periodSuffix(lower, 'day');
  const micros = ((lower % 60_000_000n) + 60_000_000n) % 60_000_000n;
  const minutes = `${twoDigits(date.getUTCHours())}${twoDigits(date.getUTCMinutes())}`;
  if (micros !== 0n) {
    const seconds = String(micros).padStart(8, '0');
    return `${day}_${minutes}${micros % 1_000_000n === 0n ? seconds.slice(0, 2) : seconds}`;
  }
  return minutes === '0000' ? day : `${day}_${minutes}`;
}

function yearText(year: number): string {
  return String(year).padStart(4, '0');
}

function twoDigits(n: number): string {
  return String(n).padStart(2, '0');
}
