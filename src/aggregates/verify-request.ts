import { usageError } from '../cli/errors.ts';
import { type GlobalOptions, parseCount } from '../cli/options.ts';
import { BEGINNING, END, type Range } from '../time/instant.ts';
import { parseHours } from './backfill-request.ts';

/** The options of `aggregates verify`, as typed. */
export interface VerifyOptions extends GlobalOptions {
  readonly table: string;
  readonly from?: string;
  readonly to?: string;
  readonly sample?: string;
  readonly seed?: string;
  readonly tolerance: string;
}

/** Which share of the hours is checked; the seed says which ones. */
export interface Sample {
  readonly share: number;
  readonly seed: number;
}

/** What was asked. */
export interface VerifyRequest {
  readonly range: Range;
  /** Null: all hours. */
  readonly sample: Sample | null;
  /** As PostgreSQL reads it. */
  readonly tolerance: string;
}

/** Seeds are made up below this: short enough to be typed again. */
const SEEDS = 1_000_000_000;

/** Reads the options of `aggregates verify`; throws usage errors. `random` makes up a seed where none is given. */
export function parseVerifyRequest(
  options: VerifyOptions,
  random: () => number = Math.random,
): VerifyRequest {
  const range = parseHours(options) ?? { lower: BEGINNING, upper: END };
  return { range, sample: parseSample(options, random), tolerance: parseTolerance(options.tolerance) };
}

function parseSample({ sample, seed }: VerifyOptions, random: () => number): Sample | null {
  if (sample === undefined) {
    if (seed === undefined) return null;
    throw usageError('seed_without_sample', '--seed says which hours --sample checks: there is none.', {
      object: '--seed',
      hint: `Give both: --sample 0.05 --seed ${seed}.`,
    });
  }
  const share = parseNumber(sample);
  if (!(share > 0 && share <= 1)) {
    throw usageError('bad_share', `--sample ${JSON.stringify(sample)} is not a share of the hours.`, {
      object: '--sample',
      hint: 'Give a number above 0 and up to 1: --sample 0.05 checks every twentieth hour.',
    });
  }
  return {
    share,
    seed: seed === undefined ? Math.floor(random() * SEEDS) : parseCount(seed, '--seed'),
  };
}

function parseTolerance(text: string): string {
  const tolerance = parseNumber(text);
  if (tolerance >= 0 && tolerance < 1) return text.trim();
  throw usageError('bad_tolerance', `--tolerance ${JSON.stringify(text)} is not a relative tolerance.`, {
    object: '--tolerance',
    hint: 'Give a number from 0 up and below 1, such as --tolerance 1e-9; 0 wants sums to be equal to the last bit.',
  });
}

/** Number() would read an empty text as 0, and hexadecimal digits, which PostgreSQL up to 15 does not. */
function parseNumber(text: string): number {
  return /^(\d{1,20}(\.\d{0,20})?|\.\d{1,20})(e[+-]?\d{1,3})?$/i.test(text.trim())
    ? Number(text)
    : Number.NaN;
}
