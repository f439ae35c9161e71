import { between, type Random } from './random.ts';

/** A time without a connection; `deliveredAt` null: what was measured is lost. */
export interface Outage {
  readonly from: number;
  readonly until: number;
  readonly deliveredAt: number | null;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365.25 * 24 * HOUR_MS;
const LOST_PER_YEAR = 7;
const BUFFERED_PER_YEAR = 3;

/** Draws the outages of one device over a span, by their start; at most the span's share of a year's. */
export function planOutages(from: number, until: number, random: Random): readonly Outage[] {
  const years = (until - from) / YEAR_MS;
  const lost = draw(LOST_PER_YEAR * years, random, () => {
    const start = between(random, from, until);
    return { from: start, until: start + between(random, 2, 70) * HOUR_MS, deliveredAt: null };
  });
  const buffered = draw(BUFFERED_PER_YEAR * years, random, () => {
    const start = between(random, from, until);
    const end = start + between(random, 6, 96) * HOUR_MS;
    return { from: start, until: end, deliveredAt: end + between(random, 12, 72) * HOUR_MS };
  });
  return [...lost, ...buffered].sort((one, other) => one.from - other.from);
}

/** Draws as many as expected; of a fraction, one more as often as that says. */
function draw(expected: number, random: Random, one: () => Outage): readonly Outage[] {
  return Array.from({ length: Math.floor(expected + random()) }, one);
}

/** Finds the outage that an instant falls into. */
export function outageAt(outages: readonly Outage[], at: number): Outage | null {
  return outages.find((outage) => outage.from <= at && at < outage.until) ?? null;
}

/** Shows the time that a device believes it is. */
export type Clock = (at: number) => number;

/** A clock that is right. */
export const rightClock: Clock = (at) => at;

const EPISODES = 10;
const EPISODE_READINGS = 6;
const FAR_FUTURE = Date.UTC(2098, 5, 15);
const DAY_MS = 24 * HOUR_MS;

/**
 * Makes a clock that is wrong ten times over the span, for six readings each.
 *
 * After a loss of power it starts on 1970-01-01; every third time it shows a day in 2098.
 */
export function brokenClock(from: number, until: number, stepMs: number): Clock {
  const stretch = (until - from) / EPISODES;
  return (at) => {
    const episode = Math.floor((at - from) / stretch);
    const since = at - from - (episode + 0.5) * stretch;
    if (since < 0 || since >= EPISODE_READINGS * stepMs) return at;
    const start = episode % 3 === 2 ? FAR_FUTURE : 0;
    return start + (since % DAY_MS);
  };
}
