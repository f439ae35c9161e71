import { holesIn, overlaps } from '../../partitions/coverage.ts';
import { groupBy } from '../../partitions/drift.ts';
import { formatInstantShort, fromDate, type Range } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { ensureHoles } from '../ensure-fix.ts';
import type { Fix } from '../fix.ts';
import { type Orphan, readOrphans } from '../orphans.ts';
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

Where a hole is what a partition lacks of its period, partition_bounds prints a statement that gives it the bounds of that, unless rows
are in the way: run that instead of the fix, which makes a partition for the rest, and asks for no lock that readers or writers notice.

Where a hole is a thousand periods long, no command is printed that fills it: it ends at a partition for a time that a bad
clock made up, and that partition is what should go.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const tables = await readTimeTables(scene);
    const candidates = outermost(tables).filter((table) => holesOf(table).length > 0);
    const orphans = candidates.length === 0 ? [] : await readOrphans(scene);
    return { found: candidates.map((table) => judge(scene, { tables, orphans }, table)) };
  },
};

/** What may fill the holes. */
interface Means {
  readonly tables: TimeTables;
  readonly orphans: readonly Orphan[];
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

function fixesOf({ tables, orphans }: Means, table: TimeTable, holes: readonly Range[]): readonly Fix[] {
  // A new leaf in its place would keep a detached one from ever being attached again.
  const back = orphans.filter(
    ({ range, fixes }) => fixes.length > 0 && range !== null && holes.some((hole) => overlaps(hole, range)),
  );
  const lacks = holes.flatMap((hole) => lacksIn(table, hole));
  const groups = [...groupBy(lacks, (lack) => lack.table).entries()];
  return [
    ...back.flatMap(({ fixes }) => fixes),
    ...groups.flatMap(([lacking, some]) => {
      const taken = [
        ...back.filter((orphan) => orphan.table === lacking).flatMap(({ range }) => range ?? []),
        ...lacking.leaves.filter(({ state }) => state === 'detach_pending').map(({ range }) => range),
      ];
      const free = some.flatMap(({ range }) => holesIn(range, taken));
      // Unless something between them is not to be touched.
      return ensureHoles(tables, lacking, free, { atOnce: taken.length === 0 });
    }),
  ];
}

function spell({ lower, upper }: Range): string {
  return `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`;
}
