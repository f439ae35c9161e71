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
function coverageOf(table: TimeTable): readonly Range[] {
  return attached(table).flatMap(({ range: whole, below }) => {
    if (below === null) return [whole];
    return coverageOf(below)
      .filter((range) => overlaps(range, whole))
      .map((range) => clip(range, whole));
  });
}

/** Finds how long rows of the present find a partition; null: none of the present come to this table. */
export function runwayAt(table: TimeTable, now: Instant): Runway | null {
  const { extent } = table;
  if (now < extent.lower || now >= extent.upper) return null;
  const runway = runwayOf(coverageOf(table), now);
  return runway.state === 'until' && runway.until === extent.upper ? { state: 'unbounded' } : runway;
}

/** Finds the holes between the first and the last leaf, or in all of a table whose rows have an end; not pending detaches. */
export function holesOf(table: TimeTable): readonly Range[] {
  const taken = mergeRanges([...coverageOf(table), ...pendingOf(table)]);
  const { extent } = table;
  const lower = extent.lower === BEGINNING ? taken[0]?.lower : extent.lower;
  const upper = extent.upper === END ? taken.at(-1)?.upper : extent.upper;
  return lower === undefined || upper === undefined ? [] : holesIn({ lower, upper }, taken);
}

function pendingOf({ leaves }: TimeTable): readonly Range[] {
  return leaves.flatMap(({ range, state, below }) =>
    state === 'detach_pending' ? [range] : below === null ? [] : pendingOf(below),
  );
}

/** A table that lacks leaves, and for which range. */
export interface Lack {
  readonly table: TimeTable;
  readonly range: Range;
}

/** Finds which tables lack the leaves for a range: the table itself, or partitions of it that are partitioned further. */
export function lacksIn(table: TimeTable, range: Range): readonly Lack[] {
  const own = holesIn(
    range,
    table.leaves.map((leaf) => leaf.range),
  ).map((hole) => ({ table, range: hole }));
  const nested = attached(table).flatMap(({ range: whole, below }) =>
    below === null || !overlaps(whole, range) ? [] : lacksIn(below, clip(whole, range)),
  );
  return [...own, ...nested];
}

function attached({ leaves }: TimeTable): readonly TimeLeaf[] {
  return leaves.filter(({ state }) => state === 'attached');
}
