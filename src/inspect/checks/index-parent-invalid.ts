import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { attachFixes } from '../indexes/parent-fixes.ts';
import { byRoot, type ParentPlace, readInvalidParents } from '../indexes/parents.ts';

/** Finds indexes of partitioned tables that are invalid although every partition has its part. */
export const indexParentInvalid: Check = {
  name: 'index_parent_invalid',
  area: 'indexes',
  finds: 'indexes of partitioned tables that are invalid although all partitions have theirs',
  explanation: `The index of a partitioned table becomes valid at the moment when the last part is attached that it lacks. That moment can be missed: the
last part was attached while it was invalid and built anew afterwards (REINDEX does not look further up), or the partition that
lacked it has been dropped. The index then stays invalid although nothing is wrong below. When it is unique, INSERT … ON CONFLICT through
the table fails (42P10), and no foreign key can refer to it: that is critical.

Attaching one of its parts again makes PostgreSQL look, and marks it valid, and those above it in turn (14 to 18, in minor releases from
2023 on). With a foreign table among the partitions it never becomes valid when it was made by CREATE INDEX ON ONLY.

Never drop it for being invalid: that drops the parts of all partitions with it. Partitions that lack their part are looked at by
index_missing_on_leaf, parts that are invalid themselves by index_invalid.`,
  thresholds: {},
  opens: true,
  look: async (scene) => {
    const places = await readInvalidParents(scene);
    const stuck = byIndex(places).filter(
      (group) =>
        group.some(({ child }) => child !== null) &&
        group.every(
          ({ kind, childIsValid, isBuilding }) => !isBuilding && (kind === 'f' || childIsValid === true),
        ),
    );
    return { found: byRoot(stuck.flat()).map(describe) };
  },
};

function byIndex(places: readonly ParentPlace[]): readonly (readonly ParentPlace[])[] {
  return [...groupBy(places, ({ index }) => index).values()];
}

function describe(group: readonly ParentPlace[]): Found {
  const [{ rootIndex, rootTable, rootIsUnique }] = group as [ParentPlace];
  const foreign = group.filter(({ kind }) => kind === 'f').length;
  const why =
    foreign > 0
      ? `${rootIndex} cannot become valid: a foreign table among the partitions of ${rootTable} can have no index.`
      : `${rootIndex} is invalid although all partitions of ${rootTable} have theirs.`;
  const so = rootIsUnique
    ? 'INSERT … ON CONFLICT through the table fails.'
    : 'New partitions get theirs, and queries use what the partitions have.';
  const fixes = byIndex(group)
    .filter((one) => one.every(({ kind }) => kind !== 'f'))
    .flatMap((one) => {
      const place = one.find(({ child }) => child !== null);
      return place === undefined ? [] : attachFixes(place, place.child as string);
    });
  return {
    // Nothing comes of it, and nothing mends it.
    severity: rootIsUnique ? 'critical' : foreign > 0 ? 'info' : 'warning',
    object: rootIndex,
    message: `${why} ${so}`,
    evidence: {
      table: rootTable,
      partitions: group.length,
      foreignTables: foreign,
      unique: rootIsUnique,
      invalid: [...new Set(group.map(({ index }) => index))],
    },
    fixes,
  };
}
