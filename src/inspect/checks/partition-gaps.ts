import { holesIn, overlaps } from '../../partitions/coverage.ts';
import { groupBy } from '../../partitions/drift.ts';
import { formatInstantShort, fromDate, type Range } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { ensureHoles } from '../ensure-fix.ts';
import type { Fix } from '../fix.ts';
import { oddLeavesOf } from '../odd-leaves.ts';
import { type Orphan, readOrphans } from '../orphans.ts';
import { reboundFixes } from '../rebound.ts';
import type { Scene } from '../scene.ts';
import { holesOf, lacksIn, outermost, type TimeTables } from '../time-coverage.ts';
import type { TimeTable } from '../time-table.ts';
import { readTimeTables } from '../time-tables.ts';

const MOST_NAMED = 10;

/** Finds holes between the partitions of tables partitioned by time. */
export const partitionGaps: Check = {
  name: 'partition_gaps',
  area: 'partitions',
  finds: 'holes between the partitions of a table partitioned by time',
  explanation: `A row whose time falls into a hole fails with SQLSTATE 23514, or goes to the DEFAULT partition. A hole in the past
lets late rows fail; one in the future ends the runway, and the check of that name says when.

A hole is what no partition covers between the first bound and the last one; of a partition that is itself partitioned by the
same column, what its own partitions leave uncovered. Partitions whose detach is pending leave no hole here: detach_pending
reports them. A detached partition leaves one, which it fills best itself where it is still there: orphaned_leaf finds it.
Read from the bounds in the catalog, in UTC.

Where a hole is what a partition lacks of its period, and there is no DEFAULT, the fix gives the partition the bounds of the period, as
partition_bounds explains: a partition for the rest would keep it from getting those.

Where a hole is a thousand periods long, no command is printed that fills it: it ends at a partition for a time that a bad
clock made up, and that partition is what should go.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const tables = await readTimeTables(scene);
    const candidates = outermost(tables).filter((table) => holesOf(table).length > 0);
    const orphans = candidates.length === 0 ? [] : await readOrphans(scene);
    const moves = await readMoves(scene, candidates);
    return { found: candidates.map((table) => judge(scene, { tables, orphans, moves }, table)) };
  },
};

/** What may fill the holes. */
interface Means {
  readonly tables: TimeTables;
  readonly orphans: readonly Orphan[];
  readonly moves: ReadonlyMap<number, Move>;
}

/** A table's partitions that get the bounds of their periods, and those. */
interface Move {
  readonly fixes: readonly Fix[];
  readonly periods: readonly Range[];
}

/**
 * Finds the tables where a hole is what a partition lacks of its period: a leaf for the hole would keep it from ever getting that.
 *
 * Not with a DEFAULT: rows of the hole in it would be in the way.
 */
async function readMoves(scene: Scene, candidates: readonly TimeTable[]): Promise<ReadonlyMap<number, Move>> {
  const lacking = new Map(
    candidates
      .flatMap((table) => holesOf(table).flatMap((hole) => lacksIn(table, hole)))
      .map((lack) => [lack.table.oid, lack.table]),
  );
  const odd = [...lacking.values()].flatMap((table) => {
    const leaves = table.default === null ? oddLeavesOf(table) : null;
    return leaves === null ? [] : [{ table, rebounds: leaves.rebounds }];
  });
  const fixes = odd.length === 0 ? new Map() : await reboundFixes(scene, odd);
  return new Map(
    odd.flatMap(({ table, rebounds }) => {
      const own = fixes.get(table.oid);
      return own === undefined
        ? []
        : [[table.oid, { fixes: own, periods: rebounds.map(({ period }) => period) }] as const];
    }),
  );
}

function judge(scene: Scene, means: Means, table: TimeTable): Found {
  const holes = holesOf(table);
  const now = fromDate(scene.now);
  const then = table.default === null ? 'fail' : 'go to DEFAULT';
  const named = holes.slice(0, MOST_NAMED).map(spell);
  const more = holes.length > MOST_NAMED ? `, and ${holes.length - MOST_NAMED} more` : '';
  return {
    severity: 'warning',
    object: table.qualified,
    message: `No partition covers ${named.join(', ')}${more}: rows of ${holes.length === 1 ? 'that time' : 'those times'} ${then}.`,
    evidence: {
      gaps: named,
      gapCount: holes.length,
      futureGaps: holes.filter(({ upper }) => upper > now).length,
      hasDefault: table.default !== null,
    },
    fixes: fixesOf(means, table, holes),
  };
}

function fixesOf(
  { tables, orphans, moves }: Means,
  table: TimeTable,
  holes: readonly Range[],
): readonly Fix[] {
  // A new leaf in its place would keep a detached one from ever being attached again.
  const back = orphans.filter(
    ({ range, fixes }) => fixes.length > 0 && range !== null && holes.some((hole) => overlaps(hole, range)),
  );
  const lacks = holes.flatMap((hole) => lacksIn(table, hole));
  const groups = [...groupBy(lacks, (lack) => lack.table).entries()];
  return [
    ...back.flatMap(({ fixes }) => fixes),
    ...groups.flatMap(([lacking, some]) => {
      const move = moves.get(lacking.oid);
      const moved = move?.periods.filter((period) => some.some(({ range }) => overlaps(range, period))) ?? [];
      const taken = [
        ...moved,
        ...back.filter((orphan) => orphan.table === lacking).flatMap(({ range }) => range ?? []),
        ...lacking.leaves.filter(({ state }) => state === 'detach_pending').map(({ range }) => range),
      ];
      const free = some.flatMap(({ range }) => holesIn(range, taken));
      // Unless something between them is not to be touched.
      return [
        ...(moved.length === 0 ? [] : (move?.fixes ?? [])),
        ...ensureHoles(tables, lacking, free, { atOnce: taken.length === 0 }),
      ];
    }),
  ];
}

function spell({ lower, upper }: Range): string {
  return `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`;
}
