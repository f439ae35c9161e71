import { formatInstantShort } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { LEAST_ROW, type OddLeaves, oddLeavesOf } from '../odd-leaves.ts';
import { reboundFixes } from '../rebound.ts';
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

Nothing has to be done: such a partition leaves with its rows when retention gets to it. The fix gives partitions that are most of one
period, of which no other has a part, the bounds of that, and puts the rows that they lose where they belong. It is one statement, which
holds ACCESS EXCLUSIVE on the table while it reads those partitions, and does nothing at all when a row has no place to go to, or one of
DEFAULT belongs into the new bounds (sensordb partitions ensure, and drain, help with that). It is printed only where nobody else sees
rows move: no trigger, rule or foreign key that leads to the table or a partition of it, and no publication. For a partition that covers
several periods, or is one of several in one, there is no such statement, since its rows belong into other partitions: detach it (sensordb
partitions detach), make the partitions of its periods (sensordb partitions ensure --from … --until …), and insert its rows into the
parent; until then nobody sees them.`,
  thresholds: {
    row_leaves: {
      value: LEAST_ROW,
      unit: 'partitions',
      source: 'so many of one interval, one after the other, are no accident',
    },
  },
  opens: false,
  look: async (scene) => {
    const least = scene.threshold('row_leaves');
    const tables = await readTimeTables(scene);
    const odd = tables.flatMap((table) => {
      const leaves = oddLeavesOf(table, least);
      return leaves === null ? [] : [{ ...leaves, table }];
    });
    const fixes = await reboundFixes(scene, odd);
    return {
      found: odd.map((one) => ({ ...describe(one.table, one), fixes: fixes.get(one.table.oid) ?? [] })),
    };
  },
};

function describe({ qualified }: TimeTable, { leaves, intervals }: OddLeaves): Found {
  const named = leaves.slice(0, MOST_NAMED).map(spell);
  const more = leaves.length > MOST_NAMED ? `, and ${leaves.length - MOST_NAMED} more` : '';
  const are = leaves.length === 1 ? 'is no' : 'are no';
  return {
    severity: 'info',
    object: qualified,
    message: `${named.join(', ')}${more} ${are} ${intervals.join(' or ')} as the other partitions are: retention takes it as a whole.`,
    evidence: { leaves: named, leafCount: leaves.length, intervals },
    fixes: [],
  };
}

function spell({ name, range }: TimeLeaf): string {
  return `${name} (${formatInstantShort(range.lower)} to ${formatInstantShort(range.upper)})`;
}
