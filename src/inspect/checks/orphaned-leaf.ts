import { groupBy } from '../../partitions/drift.ts';
import { formatInstant, formatInstantShort, fromDate } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { shellWord } from '../fix.ts';
import { type Orphan, readOrphans } from '../orphans.ts';
import type { Scene } from '../scene.ts';

const DAY = 86_400_000_000n;

/** Finds tables that were detached and forgotten. */
export const orphanedLeaf: Check = {
  name: 'orphaned_leaf',
  area: 'partitions',
  finds: 'tables that were detached from a table partitioned by time and still stand beside it',
  explanation: `A detached partition is a table of its own: no query of its former parent sees its rows, no retention takes it, and
late rows of its time fail or go to DEFAULT. One that was retired on purpose should be dropped, or moved into a schema for
archives, where it is not reported; one that was detached by mistake should be attached again.

What sensordb detached stands in sensordb.detached_leaf, with its bounds; for some time it is only noted, since a grace time
before the drop is good practice. Other tables are told by their shape: an ordinary table in a schema of the parent or of its
partitions, with the very columns of the parent, and named as its partitions are but for the digits after the name of the
parent, or of a date or number at the end; of one that fits several parents all are named, and no command is printed. Their bounds are
guessed from the name, if the names of the partitions that are left tell their bounds; attach then looks at every row.
A role that may not read sensordb.detached_leaf sees all of them by their shape alone.`,
  thresholds: {
    grace_days: { value: 30, unit: 'days', source: 'a month in which somebody may still want it back' },
  },
  opens: false,
  look: async (scene) => {
    const groups = groupBy(await readOrphans(scene), parentsOf);
    return {
      found: [...groups].flatMap(([parents, orphans]) => {
        const found = orphans.map((orphan) => judge(scene, orphan));
        const [{ table }] = orphans as [Orphan];
        return found.length > MOST_APART ? [together(table.qualified, parents, found)] : found;
      }),
    };
  },
};

/** More of one table are one finding. */
const MOST_APART = 20;
const MOST_NAMED = 5;

/** The table that it was detached from, or those that it may have been. */
function parentsOf({ table, others }: Orphan): string {
  return [table, ...others].map(({ qualified }) => qualified).join(' or ');
}

function together(table: string, parents: string, found: readonly Found[]): Found {
  const names = found.map(({ object }) => object);
  return {
    severity: found.some(({ severity }) => severity === 'warning') ? 'warning' : 'info',
    object: table,
    message: `${names.length} tables that were detached from ${parents} still stand beside it (${names.slice(0, MOST_NAMED).join(', ')}, …): none of their rows is seen through it. Attach them, move them to an archive schema, or drop them.`,
    evidence: { tables: names.slice(0, MOST_NAMED), tableCount: names.length },
    fixes: found.flatMap(({ fixes }) => fixes),
  };
}

function judge(scene: Scene, orphan: Orphan): Found {
  const { table, others, qualified, range, detached, fixes } = orphan;
  const now = fromDate(scene.now);
  const isNew = detached !== null && Number(now - detached.at) < scene.threshold('grace_days') * Number(DAY);
  const since =
    detached === null ? 'was detached' : `was detached on ${formatInstantShort(detached.at).slice(0, 10)}`;
  const drop =
    detached === null
      ? `DROP TABLE ${qualified}`
      : `sensordb partitions drop --table ${shellWord(table.qualified)} ${shellWord(qualified)}`;
  return {
    severity: isNew ? 'info' : 'warning',
    object: qualified,
    message: `${qualified} ${since} from ${parentsOf(orphan)}, which shows none of its rows. Attach it, move it to an archive schema, or drop it: ${drop}.`,
    evidence: {
      parent: table.qualified,
      others: others.map((other) => other.qualified),
      lower: range === null ? null : formatInstant(range.lower),
      upper: range === null ? null : formatInstant(range.upper),
      detachedAt: detached === null ? null : formatInstant(detached.at),
      detachedBy: detached?.by ?? null,
      knownBy: detached === null ? 'shape' : 'sensordb.detached_leaf',
    },
    fixes,
  };
}
