import { usageError } from '../cli/errors.ts';
import { parseCount } from '../cli/options.ts';
import { parseUserInstant } from '../time/durations.ts';
import { fromCivil, type Instant } from '../time/instant.ts';
import { addPeriods, type Interval } from '../time/periods.ts';
import type { ChangeTableOptions } from './change.ts';
import { parseInterval } from './ensure-request.ts';

/** The options of `partitions drain`, as commander hands them over. */
export interface DrainOptions extends ChangeTableOptions {
  readonly from?: string;
  readonly until?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly interval?: string;
  readonly batchRows: string;
  readonly quarantine?: string;
  readonly guardDefault?: boolean;
}

/** What the user asked `partitions drain` for. */
export interface DrainRequest {
  /** Null: no such end. */
  readonly from: Instant | null;
  readonly until: Instant | null;
  /** No partition should exist for a period that ends before the first, or begins after the second. */
  readonly notBefore: Instant;
  /** Null: ten years from now. */
  readonly notAfter: Instant | null;
  readonly interval: Interval | null;
  readonly batchRows: number;
  readonly quarantine: string | null;
  readonly guardDefault: boolean;
}

/** How many rows a transaction copies when nobody says otherwise. */
export const BATCH_ROWS = 10_000;

/** Before this, clocks that were never set put their rows: 1970, 1980, 1999. */
export const NOT_BEFORE = fromCivil(2000, 1, 1);

/** How far ahead a partition still makes sense, in years. */
const YEARS_AHEAD = 10;

/** Reads what was asked for; throws usage errors before anything is connected. */
export function parseDrainRequest(options: DrainOptions): DrainRequest {
  const instant = (text: string | undefined, option: string): Instant | null =>
    text === undefined ? null : parseUserInstant(text, option);
  const from = instant(options.from, '--from');
  const until = instant(options.until, '--until');
  if (from !== null && until !== null && from >= until) {
    throw usageError('empty_range', 'Nothing lies between --from (inclusive) and --until (exclusive).', {
      hint: 'Give an --until after --from.',
    });
  }
  const batchRows = parseCount(options.batchRows, '--batch-rows');
  if (batchRows === 0) {
    throw usageError('bad_number', '--batch-rows must be at least 1.', { object: '--batch-rows' });
  }
  return {
    from,
    until,
    notBefore: instant(options.notBefore, '--not-before') ?? NOT_BEFORE,
    notAfter: instant(options.notAfter, '--not-after'),
    interval: parseInterval(options.interval),
    batchRows,
    quarantine: options.quarantine ?? null,
    guardDefault: options.guardDefault === true,
  };
}

/** Gives the instant from which on no partition should begin. */
export function notAfterOf({ notAfter }: Pick<DrainRequest, 'notAfter'>, now: Instant): Instant {
  return notAfter ?? addPeriods(now, 'year', YEARS_AHEAD);
}
