import { usageError } from '../cli/errors.ts';
import { parseCount } from '../cli/options.ts';
import { parseDuration, parseUserInstant } from '../time/durations.ts';
import { BEGINNING, END, formatInstantShort, type Range } from '../time/instant.ts';
import type { ChangeAggregatesOptions } from './change.ts';
import { HOUR } from './hours.ts';

/** The options of `aggregates backfill`, as typed. */
export interface BackfillOptions extends ChangeAggregatesOptions {
  readonly from?: string;
  readonly to?: string;
  readonly jobs: string;
  readonly recount?: boolean;
  readonly maxLag?: string;
  readonly maxWalRate?: string;
}

/** What was asked. */
export interface BackfillRequest {
  /** Null: all of history. */
  readonly range: Range | null;
  readonly jobs: number;
  readonly recount: boolean;
  /** The most that a replica may lag behind, in seconds; null: as it likes. */
  readonly maxLagSeconds: number | null;
  /** The most WAL that the server may write on an average, in bytes a second; null: as it likes. */
  readonly maxWalRate: number | null;
}

const MOST_JOBS = 32;

/** Reads the options of `aggregates backfill`; throws usage errors. */
export function parseBackfillRequest(options: BackfillOptions): BackfillRequest {
  const range = parseHours(options);
  const jobs = parseCount(options.jobs, '--jobs');
  if (jobs < 1 || jobs > MOST_JOBS) {
    throw usageError('bad_number', `--jobs must be from 1 to ${MOST_JOBS}.`, {
      object: '--jobs',
      hint: 'Each job is a connection that keeps one core of the server busy: give no more than it can spare.',
    });
  }
  if (options.recount === true && range === null) {
    throw usageError('recount_without_range', '--recount needs --from, --to or both.', {
      object: '--recount',
      hint: 'Say which hours: --from 2026-01-01 --to 2026-02-01.',
    });
  }
  const { maxLag, maxWalRate } = options;
  return {
    range,
    jobs,
    recount: options.recount === true,
    maxLagSeconds: maxLag === undefined ? null : parseDuration(maxLag, '--max-lag') / 1000,
    maxWalRate: maxWalRate === undefined ? null : parseRate(maxWalRate),
  };
}

/** Reads `--from` and `--to`, which have to be whole hours of UTC; null when neither was given. */
export function parseHours({ from, to }: Pick<BackfillOptions, 'from' | 'to'>): Range | null {
  if (from === undefined && to === undefined) return null;
  const lower = from === undefined ? BEGINNING : parseUserInstant(from, '--from');
  const upper = to === undefined ? END : parseUserInstant(to, '--to');
  if (lower >= upper) {
    throw usageError('empty_range', `--from ${from} is not before --to ${to}.`, {
      object: '--to',
      hint: '--from is inclusive, --to exclusive, both in UTC.',
    });
  }
  for (const [option, instant] of [
    ['--from', lower],
    ['--to', upper],
  ] as const) {
    if (instant === BEGINNING || instant === END || instant % HOUR === 0n) continue;
    throw usageError('not_an_hour', `${option} ${formatInstantShort(instant)} is not a whole hour of UTC.`, {
      object: option,
      hint: `Aggregates are by the hour: give one such as ${option} 2026-01-01T06:00:00Z.`,
    });
  }
  return { lower, upper };
}

const UNITS: Readonly<Record<string, number>> = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };

/** Reads `20MB`, as PostgreSQL spells sizes, with or without `/s`. */
function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(kB|MB|GB)(?:\/s)?$/.exec(text.trim());
  const bytes = Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? Number.NaN);
  if (Number.isFinite(bytes) && bytes > 0) return bytes;
  throw usageError('bad_rate', `--max-wal-rate ${JSON.stringify(text)} is not a rate.`, {
    object: '--max-wal-rate',
    hint: 'Give a number above 0 with a unit (kB, MB, GB), a second: --max-wal-rate 20MB.',
  });
}
