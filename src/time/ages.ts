import { usageError } from '../cli/errors.ts';
import type { Instant } from './instant.ts';
import { addPeriods, type Interval, periodStart } from './periods.ts';

/** A span of calendar time, in UTC. */
export interface Age {
  readonly count: number;
  readonly unit: Exclude<Interval, 'quarter'>;
}

const UNITS: Readonly<Record<string, Age['unit']>> = { d: 'day', w: 'week', mo: 'month', y: 'year' };

/**
 * Reads an age such as `12mo`, `90d`, `8w` or `2y`.
 *
 * A bare number is no age, and neither is `12m`: `m` is a minute to some and a month to others. Throws usage errors.
 */
export function parseAge(text: string, option: string): Age {
  const match = /^(\d{1,5})(d|w|mo|y)$/.exec(text.trim());
  const unit = UNITS[match?.[2] ?? ''];
  const count = Number(match?.[1]);
  if (unit === undefined || count > 9999 || count < 1) {
    throw usageError('bad_age', `${option} ${JSON.stringify(text)} is not an age.`, {
      hint: `Give a number from 1 up with a unit (d, w, mo, y), such as ${option} 12mo or ${option} 90d.`,
      object: option,
    });
  }
  return { count, unit };
}

/**
 * Finds the instant that lies an age before another, by the UTC calendar.
 *
 * Where the month has no such day it is the month's last one: a month before 31 March is 28 or 29 February.
 */
export function before(instant: Instant, { count, unit }: Age): Instant {
  return shift(instant, unit, -count);
}

/** Finds the instant that lies an age after another, by the UTC calendar; the last day of a month too short, as `before`. */
export function after(instant: Instant, { count, unit }: Age): Instant {
  return shift(instant, unit, count);
}

function shift(instant: Instant, unit: Age['unit'], count: number): Instant {
  const dayStart = periodStart(instant, 'day');
  const timeOfDay = instant - dayStart;
  if (unit === 'day' || unit === 'week') return addPeriods(dayStart, unit, count) + timeOfDay;
  const monthStart = periodStart(instant, 'month');
  const target = addPeriods(monthStart, unit, count);
  const lastDay = addPeriods(addPeriods(target, 'month', 1), 'day', -1);
  const sameDay = target + (dayStart - monthStart);
  return (sameDay < lastDay ? sameDay : lastDay) + timeOfDay;
}
