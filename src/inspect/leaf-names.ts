import { fitName } from '../partitions/names.ts';
import { fromCivil, type Instant, type Range } from '../time/instant.ts';
import { addPeriods, type Interval, periodStart } from '../time/periods.ts';
import { intervalOfLeaves } from './ensure-fix.ts';
import type { TimeTable } from './time-table.ts';

/** Writes every digit of a name as 0, so that names of leaves that follow one pattern are one. */
function maskOf(name: string): string {
  return name.replaceAll(/[0-9]/g, '0');
}

// Those of sensordb and of pg_partman (since 5, and before).
const SUFFIXES = [
  '_0000',
  '_0000_00',
  '_0000_00_00',
  '_0000_q0',
  '_0000_w00',
  '_p00000000',
  '_p0000',
  '_p0000_00',
  '_p0000_00_00',
];

/** Lists the patterns that the names of a table's leaves follow, or would follow if there were any. */
export function masksOf({ name, leaves }: TimeTable): readonly string[] {
  const own = leaves.map((leaf) => leaf.name).filter((leaf) => /[0-9]/.test(leaf));
  return [...new Set((own.length > 0 ? own : SUFFIXES.map((suffix) => fitName(name, suffix))).map(maskOf))];
}

interface NamePattern {
  readonly pattern: RegExp;
  readonly interval: Interval;
  readonly start: (numbers: readonly number[]) => Instant;
}

const isoWeekStart = (year: number, week: number): Instant =>
  addPeriods(periodStart(fromCivil(year, 1, 4), 'week'), 'week', week - 1);

const PATTERNS: readonly NamePattern[] = [
  {
    pattern: /(\d{4})_?(\d\d)_?(\d\d)$/,
    interval: 'day',
    start: ([y = 0, m = 0, d = 0]) => fromCivil(y, m, d),
  },
  { pattern: /(\d{4})_?w(\d\d)$/, interval: 'week', start: ([y = 0, w = 0]) => isoWeekStart(y, w) },
  { pattern: /(\d{4})_?q(\d)$/, interval: 'quarter', start: ([y = 0, q = 0]) => fromCivil(y, q * 3 - 2, 1) },
  { pattern: /(\d{4})_?(\d\d)$/, interval: 'month', start: ([y = 0, m = 0]) => fromCivil(y, m, 1) },
  { pattern: /(\d{4})$/, interval: 'year', start: ([y = 0]) => fromCivil(y, 1, 1) },
];

function startOf(name: string): { readonly start: Instant; readonly interval: Interval } | null {
  for (const { pattern, interval, start } of PATTERNS) {
    const match = pattern.exec(name);
    if (match !== null) return { start: start(match.slice(1).map(Number)), interval };
  }
  return null;
}

/**
 * Guesses the bounds of a table from its name, as the leaves that are still there are named; null: they do not tell.
 *
 * The bounds of a leaf are in the catalog alone, and detached it has none any more. A command that is given these looks at every row.
 */
export function guessRange(name: string, table: TimeTable): Range | null {
  const guess = startOf(name);
  const siblings = table.leaves.filter((leaf) => maskOf(leaf.name) === maskOf(name));
  if (guess === null || siblings.some((leaf) => startOf(leaf.name)?.start !== leaf.range.lower)) return null;
  const interval = siblings.length === 0 ? guess.interval : intervalOfLeaves({ ...table, leaves: siblings });
  if (interval === null || periodStart(guess.start, interval) !== guess.start) return null;
  return { lower: guess.start, upper: addPeriods(guess.start, interval, 1) };
}
