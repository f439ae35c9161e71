import { describeAge } from '../../aggregates/age.ts';
import { readSource } from '../../aggregates/source.ts';
import { readStatusFacts } from '../../aggregates/status-read.ts';
import { type StatusView, viewStatus } from '../../aggregates/status-view.ts';
import { SensordbError } from '../../cli/errors.ts';
import { EXIT } from '../../cli/exit-codes.ts';
import { formatInstantShort, type Instant, type Range } from '../../time/instant.ts';
import type { Scene } from '../scene.ts';
import { bar, type Figure, upright } from './figure.ts';
import type { PicturedTable } from './pictures.ts';
import { timeLabels, timeScale } from './time-scale.ts';

/** Reads how the aggregates of a table are, in a transaction; null: none are kept of it. */
export async function readLag(
  { session, capabilities, now }: Scene,
  { qualified }: PicturedTable,
): Promise<StatusView | null> {
  if (capabilities.ownTables === 'none') return null;
  try {
    const source = await readSource(session, qualified);
    const facts = source.hasState ? await readStatusFacts(session, source) : null;
    return facts === null ? null : viewStatus({ source, facts, coverage: null, now, maxLagSeconds: null });
  } catch (thrown) {
    // It is no table of readings: there is nothing to draw.
    if (thrown instanceof SensordbError && thrown.exitCode === EXIT.usage) return null;
    throw thrown;
  }
}

const TOP = 14;
const HEIGHT = 26;

/** Draws which hours are in the aggregates, which are still to be counted, and which are final since their leaves have gone. */
export function drawLag(view: StatusView, { leaves }: PicturedTable, now: Instant): Figure {
  const covered = leaves.flatMap(({ range }) => (range === null ? [] : [range]));
  const scale = timeScale([...covered, ...view.pending, ...view.retired], now);
  const strip = (className: string, { lower, upper }: Range, text: string) => {
    const [x, to] = [scale.x(lower), scale.x(upper)];
    const shown = `${text}: ${formatInstantShort(lower)} to ${formatInstantShort(upper)}`;
    return bar(className, { x, y: TOP, width: Math.max(1, to - x), height: HEIGHT }, shown);
  };
  // Before the gate all is counted but what is pending, and the device-hours that changed since.
  const until = view.gate ?? scale.from;
  return {
    title: 'Aggregates',
    summary: describe(view),
    height: TOP + HEIGHT + 22,
    shapes: [
      bar(
        'track',
        { x: 0, y: TOP, width: scale.x(scale.to), height: HEIGHT },
        'not over yet, or still to be counted',
      ),
      strip('good', { lower: scale.from, upper: until }, 'counted'),
      ...view.pending.map((range) => strip('poor', range, 'to be counted')),
      ...view.retired.map((range) => strip('past', range, 'final: the leaf has gone')),
      ...(view.cleanUntil === null ? [] : [upright('clean', scale.x(view.cleanUntil), TOP, TOP + HEIGHT)]),
      upright('now', scale.x(now), TOP - 8, TOP + HEIGHT + 6),
      ...timeLabels(scale, now, TOP + HEIGHT + 18),
    ],
    legend: [
      { className: 'good', text: 'counted' },
      { className: 'poor', text: 'to be counted' },
      { className: 'past', text: 'final, leaf gone' },
      { className: 'track', text: 'not over yet' },
    ],
    columns: ['what', 'from', 'to'],
    rows: [
      ['counted', formatInstantShort(scale.from), formatInstantShort(until)],
      ...view.pending.map(({ lower, upper }) => [
        'to be counted',
        formatInstantShort(lower),
        formatInstantShort(upper),
      ]),
      ...view.retired.map(({ lower, upper }) => [
        'final',
        formatInstantShort(lower),
        formatInstantShort(upper),
      ]),
    ],
  };
}

function describe({ cleanUntil, lagSeconds, dirtyHours }: StatusView): string {
  if (cleanUntil === null || lagSeconds === null) return 'Clean from no hour on yet.';
  const dirty = dirtyHours
    ? `; device-hours that changed and are not counted yet: ${dirtyHours.toLocaleString('en-US')}`
    : '';
  return `Clean until ${formatInstantShort(cleanUntil)}, ${describeAge(lagSeconds)} ago${dirty}.`;
}
