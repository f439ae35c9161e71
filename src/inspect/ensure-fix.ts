import { isBounded } from '../partitions/coverage.ts';
import { inferInterval } from '../partitions/ensure-sketch.ts';
import { formatInstantShort, fromCivil, type Instant, type Range } from '../time/instant.ts';
import { addPeriods, type Interval } from '../time/periods.ts';
import { commandFix, type Fix, shellWord } from './fix.ts';
import type { Lack, TimeTables } from './time-coverage.ts';
import type { TimeTable } from './time-table.ts';

const DAY = 86_400_000_000n;

/** Gives the length of the newest leaf that has both ends, in microseconds; null: there is none. */
export function leafLength({ leaves }: TimeTable): Instant | null {
  const newest = leaves.findLast(({ range }) => isBounded(range));
  return newest === undefined ? null : newest.range.upper - newest.range.lower;
}

/** Tells the interval of a table's leaves, as `partitions ensure` does; null: they are no calendar periods. */
export function intervalOfLeaves({ name, leaves }: TimeTable): Interval | null {
  try {
    return inferInterval(name, leaves);
  } catch {
    return null;
  }
}

/** Tells the interval of the leaves that commands make for a table, named to them or not. */
export function intervalOfCommands(table: TimeTable): Interval {
  return intervalOfLeaves(table) ?? namedInterval(table) ?? 'month';
}

/** Chooses the interval to be named to a command, which cannot tell that of leaves which are no calendar periods; null: it can. */
function namedInterval(table: TimeTable): Interval | null {
  if (intervalOfLeaves(table) !== null) return null;
  const length = leafLength(table) ?? 0n;
  return length >= 28n * DAY ? 'month' : length >= 7n * DAY ? 'week' : 'day';
}

const AHEAD: Readonly<Record<Interval, string>> = {
  day: '--days 14',
  week: '--weeks 8',
  month: '--months 3',
  quarter: '--months 6',
  year: '--months 12',
};

/** Spells the options of a command on a table: the table itself, and the interval where it has to be named. */
export function tableWords(table: TimeTable): string {
  const interval = namedInterval(table);
  return `--table ${shellWord(table.qualified)}${interval === null ? '' : ` --interval ${interval}`}`;
}

/** Makes the command that gives a table leaves from the present on; none for a table that no command takes. */
export function ensureAhead(table: TimeTable): readonly Fix[] {
  return ensure(table, AHEAD[intervalOfCommands(table)]);
}

/** Makes the command that fills a range of a table with leaves; none where it would take thousands. */
export function ensureRange(tables: TimeTables, { table, range }: Lack): readonly Fix[] {
  const like = likeness(tables, table);
  const interval = intervalOfCommands(like);
  if (!isNameable(range) || addPeriods(range.lower, interval, MOST_LEAVES) < range.upper) return [];
  const { lower, upper } = range;
  const named = like === table ? '' : `--interval ${interval} `;
  return ensure(table, `${named}--from ${formatInstantShort(lower)} --until ${formatInstantShort(upper)}`);
}

/** Makes the one command that fills all holes of a table; one for each where that would take thousands of leaves, or not `atOnce`. */
export function ensureHoles(
  tables: TimeTables,
  table: TimeTable,
  holes: readonly Range[],
  { atOnce }: { readonly atOnce: boolean } = { atOnce: true },
): readonly Fix[] {
  const [first, last] = [holes[0], holes.at(-1)];
  if (first === undefined || last === undefined) return [];
  const whole = { table, range: { lower: first.lower, upper: last.upper } };
  const fixes = atOnce ? ensureRange(tables, whole) : [];
  return fixes.length > 0 ? fixes : holes.flatMap((range) => ensureRange(tables, { table, range }));
}

/** Gives the table itself, or, where it has no leaves to go by, the newest like it: one that is a partition of the same. */
function likeness(tables: TimeTables, table: TimeTable): TimeTable {
  if (table.above === null || table.leaves.length > 0) return table;
  const others = tables.filter(({ above, leaves }) => above === table.above && leaves.length > 0);
  return others.toSorted((a, b) => (a.extent.lower < b.extent.lower ? -1 : 1)).at(-1) ?? table;
}

/** So many leaves nobody means to make in one gap: it ends at a leaf that a bad clock has brought about. */
const MOST_LEAVES = 1000;

function isNameable({ lower, upper }: Range): boolean {
  return lower >= fromCivil(1, 1, 1) && upper < fromCivil(10_000, 1, 1);
}

function ensure(table: TimeTable, words: string): readonly Fix[] {
  if (!table.isManaged) return [];
  // Rows in DEFAULT stand in the way of the leaf that they belong into.
  const drain = table.default === null ? '' : ' --drain';
  return [commandFix('partition', `sensordb partitions ensure ${tableWords(table)} ${words}${drain}`)];
}
