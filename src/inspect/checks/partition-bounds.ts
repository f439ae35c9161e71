import { isBounded } from '../../partitions/coverage.ts';
import { formatInstantShort } from '../../time/instant.ts';
import { INTERVALS, type Interval, intervalOf } from '../../time/periods.ts';
import type { Check, Found } from '../check.ts';
import type { TimeLeaf, TimeTable } from '../time-table.ts';
import { readTimeTables } from '../time-tables.ts';

const MOST_NAMED = 10;

/** Finds partitions that are no whole periods, or periods of another length than the others. */
export const partitionBounds: Check = {
  name: 'partition_bounds',
  area: 'partitions',
  finds: 'partitions that are no whole periods of the interval that the others have',
  explanation: `Half a month among months, a leaf from the 30th to the 30th, a bound of 05:00 UTC that a session in New York made
of midnight: such partitions work, but retention keeps or drops them as a whole, with rows of a period that should have stayed
or gone, and what is left of their periods gets partitions with odd bounds and names.

Partitions that follow each other and are days, weeks, months, quarters or years in UTC show which interval a table has, and
later another one, if it was changed; what belongs to no such row is reported. A table none of whose partitions are periods is
left alone: its bounds are as somebody wanted them. So are partitions from MINVALUE or up to MAXVALUE.

No command mends it, and nothing has to be done: such a partition leaves with its rows when retention gets to it. To be rid of
it before, detach it, make the partitions of its periods, and insert its rows into the parent.`,
  thresholds: {
    row_leaves: {
      value: 3,
      unit: 'partitions',
      source: 'so many of one interval, one after the other, are no accident',
    },
  },
  opens: false,
  look: async (scene) => {
    const least = scene.threshold('row_leaves');
    const tables = await readTimeTables(scene);
    return { found: tables.flatMap((table) => judge(table, least) ?? []) };
  },
};

function judge(table: TimeTable, least: number): Found | null {
  const rows = rowsOf(table.leaves.filter(({ range }) => isBounded(range)));
  const regular = rows.filter(({ interval, leaves }) => interval !== null && leaves.length >= least);
  const odd = rows.filter((row) => !regular.includes(row)).flatMap(({ leaves }) => leaves);
  if (regular.length === 0 || odd.length === 0) return null;
  const intervals = INTERVALS.filter((one) => regular.some(({ interval }) => interval === one));
  const named = odd.slice(0, MOST_NAMED).map(spell);
  const more = odd.length > MOST_NAMED ? `, and ${odd.length - MOST_NAMED} more` : '';
  const are = odd.length === 1 ? 'is no' : 'are no';
  return {
    severity: 'info',
    object: table.qualified,
    message: `${named.join(', ')}${more} ${are} ${intervals.join(' or ')} as the other partitions are: retention takes it as a whole.`,
    evidence: { leaves: named, leafCount: odd.length, intervals },
    fixes: [],
  };
}

/** Partitions that follow each other and have the same interval; null: none. */
interface Row {
  readonly interval: Interval | null;
  readonly leaves: readonly TimeLeaf[];
}

function rowsOf(leaves: readonly TimeLeaf[]): readonly Row[] {
  const rows: (Row & { leaves: TimeLeaf[] })[] = [];
  for (const leaf of leaves) {
    const interval = intervalOf(leaf.range);
    const last = rows.at(-1);
    if (last !== undefined && last.interval === interval) last.leaves.push(leaf);
    else rows.push({ interval, leaves: [leaf] });
  }
  return rows;
}

function spell({ name, range }: TimeLeaf): string {
  return `${name} (${formatInstantShort(range.lower)} to ${formatInstantShort(range.upper)})`;
}
