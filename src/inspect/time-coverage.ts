import { holesIn, overlaps, type Runway, runwayOf } from '../partitions/coverage.ts';
import { BEGINNING, END, type Instant, type Range } from '../time/instant.ts';
import { mergeRanges } from '../time/ranges.ts';
import { clip, type TimeLeaf, type TimeTable } from './time-table.ts';

/** All tables of time of a run, to find those below a leaf. */
export type TimeTables = readonly TimeTable[];

/** Lists the tables that are partitions of none by the same column: those that rows are sent to. */
export function outermost(tables: TimeTables): TimeTables {
  return tables.filter(({ above }) => above === null);
}

/** Lists the ranges whose rows find a partition other than a DEFAULT, down to the last level. */
function coverageOf(tables: TimeTables, table: TimeTable): readonly Range[] {
  return attached(table).flatMap((leaf) => {
    const below = nestedAt(tables, table, leaf);
    if (below === undefined) return [leaf.range];
    return coverageOf(tables, below)
      .filter((range) => overlaps(range, leaf.range))
      .map((range) => clip(range, leaf.range));
  });
}

/** Finds how long rows of the present find a partition; null: none of the present come to this table. */
export function runwayAt(tables: TimeTables, table: TimeTable, now: Instant): Runway | null {
  const { extent } = table;
  if (now < extent.lower || now >= extent.upper) return null;
  const runway = runwayOf(coverageOf(tables, table), now);
  return runway.state === 'until' && runway.until === extent.upper ? { state: 'unbounded' } : runway;
}

/** Finds the holes between the first and the last leaf, or in all of a table whose rows have an end; not pending detaches. */
export function holesOf(tables: TimeTables, table: TimeTable): readonly Range[] {
  const pending = table.leaves.filter(({ state }) => state === 'detach_pending').map(({ range }) => range);
  const taken = mergeRanges([...coverageOf(tables, table), ...pending]);
  const { extent } = table;
  const lower = extent.lower === BEGINNING ? taken[0]?.lower : extent.lower;
  const upper = extent.upper === END ? taken.at(-1)?.upper : extent.upper;
  return lower === undefined || upper === undefined ? [] : holesIn({ lower, upper }, taken);
}

/** A table that lacks leaves, and for which range. */
export interface Lack {
  readonly table: TimeTable;
  readonly range: Range;
}

/** Finds which tables lack the leaves for a range: the table itself, or partitions of it that are partitioned further. */
export function lacksIn(tables: TimeTables, table: TimeTable, range: Range): readonly Lack[] {
  const own = holesIn(
    range,
    table.leaves.map((leaf) => leaf.range),
  ).map((hole) => ({ table, range: hole }));
  const below = attached(table).flatMap((leaf) => {
    const nested = nestedAt(tables, table, leaf);
    if (nested === undefined || !overlaps(leaf.range, range)) return [];
    return lacksIn(tables, nested, clip(leaf.range, range));
  });
  return [...own, ...below];
}

function attached({ leaves }: TimeTable): readonly TimeLeaf[] {
  return leaves.filter(({ state }) => state === 'attached');
}

function nestedAt(tables: TimeTables, table: TimeTable, leaf: TimeLeaf): TimeTable | undefined {
  if (!leaf.isPartitioned) return undefined;
  return tables.find(({ oid, above }) => oid === leaf.oid && above === table.oid);
}
