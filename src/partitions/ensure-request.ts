import { usageError } from '../cli/errors.ts';
import { parseCount } from '../cli/options.ts';
import { parseUserInstant } from '../time/durations.ts';
import { INTERVALS, type Interval } from '../time/periods.ts';
import type { ChangeTableOptions } from './change.ts';
import type { EnsureRequest, Horizon } from './ensure-sketch.ts';

/** The options of `partitions ensure`, as commander hands them over. */
export interface EnsureOptions extends ChangeTableOptions {
  readonly months?: string;
  readonly weeks?: string;
  readonly days?: string;
  readonly until?: string;
  readonly from?: string;
  readonly interval?: string;
  readonly drain?: boolean;
  readonly guardDefault?: boolean;
}

/** What was asked for, and what may be done about DEFAULT. */
export interface EnsureWishes extends EnsureRequest {
  /** Rows of DEFAULT that stand in the way are moved. */
  readonly drain: boolean;
  /** DEFAULT may refuse rows of a period while its leaf is made, if it is too large to be scanned. */
  readonly guardDefault: boolean;
}

/** Reads what was asked for; throws usage errors before anything is connected. */
export function parseEnsureRequest(options: EnsureOptions): EnsureWishes {
  const given: Horizon[] = [];
  for (const [unit, text] of [
    ['month', options.months],
    ['week', options.weeks],
    ['day', options.days],
  ] as const) {
    if (text !== undefined) given.push({ kind: 'ahead', unit, count: parseCount(text, `--${unit}s`) });
  }
  if (options.until !== undefined) {
    given.push({ kind: 'until', until: parseUserInstant(options.until, '--until') });
  }
  const [horizon, another] = given;
  if (horizon === undefined || another !== undefined) {
    throw usageError('horizon', 'Give one horizon: --months N, --weeks N, --days N or --until DATE.', {
      hint: 'sensordb partitions ensure --months 3 makes sure of the current month and the next three.',
    });
  }
  const from = options.from === undefined ? null : parseUserInstant(options.from, '--from');
  return {
    horizon,
    from,
    interval: parseInterval(options.interval),
    drain: options.drain === true,
    guardDefault: options.guardDefault === true,
  };
}

/** Reads `--interval`. */
export function parseInterval(text: string | undefined): Interval | null {
  if (text === undefined) return null;
  const interval = INTERVALS.find((known) => known === text);
  if (interval !== undefined) return interval;
  throw usageError('bad_interval', `--interval ${JSON.stringify(text)} is no interval.`, {
    hint: `Give one of ${INTERVALS.join(', ')}.`,
    object: '--interval',
  });
}
