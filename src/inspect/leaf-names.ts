import { fitName } from '../partitions/names.ts';
import { fromCivil, type Instant, type Range } from '../time/instant.ts';
import { addPeriods, type Interval, periodStart } from '../time/periods.ts';
import { intervalOfLeaves } from './ensure-fix.ts';
import type { TimeTable } from './time-table.ts';

/** What the names of a table's leaves have in common. */
export interface LeafNames {
  /** What they begin with, to the letter: digits in it, as in `plant1`, tell one table from another. */
  readonly base: string;
  /** The whole name, with every digit written as 0. */
  readonly mask: string;
}

// A year and what may follow: that of sensordb, of pg_partman (since 5, and before) and of PostgreSQL's documentation (y2026m01).
const DATE = /(?:19|20|21)\d\d(?:[_-]?[wq]\d\d?|(?:m|[_-]?)(?:0[1-9]|1[0-2])(?:d|[_-]?)\d*(?:[_-]\d+)*)?$/i;
const NUMBER = /\d+$/;

function namesLike(base: string, name: string): LeafNames {
  return { base, mask: name.replaceAll(/[0-9]/g, '0') };
}

/** Tells what tells a name from that of other leaves: what follows the name of the table, or else a date or number at its end. */
function namesOf(table: string, name: string): LeafNames | null {
  if (name.startsWith(table) && /[0-9]/.test(name.slice(table.length))) return namesLike(table, name);
  const tail = DATE.exec(name) ?? NUMBER.exec(name);
  return tail === null ? null : namesLike(name.slice(0, tail.index), name);
}

// Those of sensordb and of pg_partman (since 5, and before).
const SUFFIXES = [
  '_0000',
  '_0000_00',
  '_0000_00_00',
  '_0000_q0',
  '_0000_w00',
  '_p00000000',
  '_p00000000_000000',
  '_p0000w00',
  '_p0000q0',
  '_p0000',
  '_p0000_00',
  '_p0000_00_00',
  '_p0000_00_00_0000',
];

/** Lists how the leaves of a table are named, or would be if there were any; none where their names tell nothing. */
export function leafNames({ name, leaves }: TimeTable): readonly LeafNames[] {
  const own = leaves.flatMap((leaf) => namesOf(name, leaf.name) ?? []);
  if (own.length > 0) return [...new Map(own.map((one) => [keyOf(one), one])).values()];
  return SUFFIXES.map((suffix) => {
    const leaf = fitName(name, suffix);
    return namesLike(leaf.slice(0, -suffix.length), leaf);
  });
}

const keyOf = ({ base, mask }: LeafNames): string => JSON.stringify([base, mask]);

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
  const siblings = siblingsOf(name, table);
  if (guess === null || siblings.some((leaf) => startOf(leaf.name)?.start !== leaf.range.lower)) return null;
  const interval = siblings.length === 0 ? guess.interval : intervalOfLeaves({ ...table, leaves: siblings });
  if (interval === null || periodStart(guess.start, interval) !== guess.start) return null;
  return { lower: guess.start, upper: addPeriods(guess.start, interval, 1) };
}

/** The leaves that are named as it is. */
function siblingsOf(name: string, table: TimeTable): TimeTable['leaves'] {
  const own = namesOf(table.name, name);
  return table.leaves.filter((leaf) => {
    const names = namesOf(table.name, leaf.name);
    return own !== null && names !== null && keyOf(names) === keyOf(own);
  });
}
