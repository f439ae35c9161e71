import { gapsOf, runwayOf } from '../../partitions/coverage.ts';
import { describeRunway } from '../../partitions/runway.ts';
import { formatInstantShort, type Instant, type Range } from '../../time/instant.ts';
import { bar, type Figure, upright } from './figure.ts';
import type { PicturedTable } from './pictures.ts';
import { timeLabels, timeScale } from './time-scale.ts';

const TOP = 14;
const HEIGHT = 34;

/** Draws which times have a partition, which have none, and how far they reach. */
export function drawTimeline({ leaves }: PicturedTable, now: Instant): Figure {
  const ranged = leaves.flatMap(({ name, range }) => (range === null ? [] : [{ name, range }]));
  const covered = ranged.map(({ range }) => range);
  const gaps = gapsOf(covered);
  const scale = timeScale(covered, now);
  const strip = (className: string, range: Range, text: string) => {
    const [x, to] = [scale.x(range.lower), scale.x(range.upper)];
    return bar(className, { x, y: TOP, width: Math.max(1, to - x - 0.6), height: HEIGHT }, text);
  };
  const hasDefault = leaves.some(({ range }) => range === null);
  return {
    title: 'Coverage',
    summary: describeRunway(runwayOf(covered, now), now, hasDefault),
    height: TOP + HEIGHT + 22,
    shapes: [
      ...ranged.map(({ name, range }) =>
        strip(range.upper <= now ? 'past' : 'future', range, `${name}: ${describe(range)}`),
      ),
      ...gaps.map((gap) => strip('gap', gap, `no partition: ${describe(gap)}`)),
      upright('now', scale.x(now), TOP - 8, TOP + HEIGHT + 6),
      ...timeLabels(scale, now, TOP + HEIGHT + 18),
    ],
    legend: [
      { className: 'past', text: 'past' },
      { className: 'future', text: 'current and future' },
      ...(gaps.length === 0 ? [] : [{ className: 'gap', text: 'no partition' }]),
    ],
    columns: ['partition', 'from', 'to (exclusive)'],
    rows: [
      ...ranged.map(({ name, range }) => [
        name,
        formatInstantShort(range.lower),
        formatInstantShort(range.upper),
      ]),
      ...gaps.map(({ lower, upper }) => ['none', formatInstantShort(lower), formatInstantShort(upper)]),
    ],
  };
}

function describe({ lower, upper }: Range): string {
  return `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`;
}
