import { BEGINNING, END, formatInstantShort, type Instant, type Range } from '../../time/instant.ts';
import { label, WIDTH } from './figure.ts';
import type { Markup } from './markup.ts';

/** Where instants stand on a picture whose axis is time. */
export interface TimeScale {
  readonly from: Instant;
  readonly to: Instant;
  /** The place of an instant; what lies outside is put at the edge. */
  readonly x: (instant: Instant) => number;
}

/** Makes the scale from the first to the last finite bound of ranges, with the present on it. */
export function timeScale(ranges: readonly Range[], now: Instant): TimeScale {
  const finite = ranges.flatMap(({ lower, upper }) => [lower, upper]).filter(hasEnd);
  const from = [now, ...finite].reduce((a, b) => (b < a ? b : a));
  const last = [now, ...finite].reduce((a, b) => (b > a ? b : a));
  // One instant alone has no width.
  const to = last > from ? last : from + 1n;
  const x = (instant: Instant): number => {
    if (instant <= from) return 0;
    if (instant >= to) return WIDTH;
    // In two steps, since microseconds of a century are more than a number holds exactly.
    return (Number(((instant - from) * 1_000_000n) / (to - from)) / 1_000_000) * WIDTH;
  };
  return { from, to, x };
}

const hasEnd = (instant: Instant): boolean => instant !== BEGINNING && instant !== END;

/** Writes the first and the last instant below a picture, and the present where there is room for it. */
export function timeLabels({ from, to, x }: TimeScale, now: Instant, y: number): readonly Markup[] {
  const at = x(now);
  const present = at > 110 && at < WIDTH - 110 ? [label('now', { x: at, y }, 'middle')] : [];
  return [
    label(formatInstantShort(from), { x: 0, y }),
    ...present,
    label(formatInstantShort(to), { x: WIDTH, y }, 'end'),
  ];
}
