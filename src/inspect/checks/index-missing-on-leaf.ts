import type { Check, Found } from '../check.ts';
import { attachFixes, buildFixes } from '../indexes/parent-fixes.ts';
import { byRoot, type ParentPlace, readInvalidParents } from '../indexes/parents.ts';
import { repairIndexes } from '../indexes/repair.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds partitions without an index that their table has. */
export const indexMissingOnLeaf: Check = {
  name: 'index_missing_on_leaf',
  area: 'indexes',
  finds: 'partitions that lack an index of their partitioned table',
  explanation: `CREATE INDEX ON ONLY makes an index of a partitioned table that is invalid until one of each partition is attached to it: a way to build
it without holding up writers. Left half-way, queries scan the partitions that lack it. When it is unique nothing keeps those from holding
duplicates, and INSERT … ON CONFLICT through the table fails (42P10): that is critical.

Told by pg_index and pg_inherits; the statistics views do not list indexes of partitioned tables at all. Two things are told apart: a
partition may have a valid index that indexes the same and only has to be attached, or nothing at all. Partitions on which somebody
builds an index at the moment are left out, and so are foreign tables, which can have none.

An index that is invalid although no partition lacks its part is looked at by index_parent_invalid; parts that are attached and invalid
themselves by index_invalid. Dropping the index of the partitioned table is no remedy: that drops the parts of all partitions, too.`,
  thresholds: {},
  opens: true,
  look: async (scene) => {
    const places = await readInvalidParents(scene);
    const lacking = places.filter(
      ({ partition, kind, child, isBuilding }) =>
        partition !== null && kind !== 'f' && child === null && !isBuilding,
    );
    return { found: byRoot(lacking).map(describe) };
  },
};

function describe(group: readonly ParentPlace[]): Found {
  const [{ rootIndex, rootTable, rootIsUnique, isManaged, isExclusion }] = group as [ParentPlace];
  const aside = group.filter(({ alike }) => alike !== null);
  const names = (places: readonly ParentPlace[]) =>
    firstFew(places.map(({ partition }) => partition as string));
  const has =
    aside.length === 0
      ? ''
      : aside.length === group.length
        ? ', though it has been built there: it is not attached'
        : `; on ${aside.length} of them it has been built, and is not attached`;
  const so = rootIsUnique
    ? 'Nothing keeps duplicates out there, and INSERT … ON CONFLICT through the table fails.'
    : 'Queries scan what lacks it.';
  return {
    severity: rootIsUnique ? 'critical' : 'warning',
    object: rootIndex,
    message: `${partitions(group.length)} of ${rootTable} ${group.length === 1 ? 'lacks' : 'lack'} ${rootIndex}${has}. ${so}`,
    evidence: {
      table: rootTable,
      partitions: group.length,
      lackedBy: names(group),
      builtButNotAttached: aside.length,
      unique: rootIsUnique,
    },
    fixes: isExclusion ? [] : isManaged ? [repairIndexes(rootTable)] : group.flatMap(fixesOf),
  };
}

function fixesOf(place: ParentPlace) {
  return place.alike === null ? buildFixes(place) : attachFixes(place, place.alike);
}
