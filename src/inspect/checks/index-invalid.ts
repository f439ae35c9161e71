import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { type InvalidIndex, readInvalid } from '../indexes/invalid.ts';
import { repairIndexes } from '../indexes/repair.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds indexes that an interrupted build left invalid. */
export const indexInvalid: Check = {
  name: 'index_invalid',
  area: 'indexes',
  finds: 'indexes of tables and partitions that are invalid, and that nobody is building',
  explanation: `CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY that fail or are interrupted leave an index behind that is marked invalid: no query
uses it, every write still maintains it, and one that should be unique may hold duplicates. DROP INDEX CONCURRENTLY, interrupted, leaves
one, too. On a partition it keeps the index of the whole partitioned table invalid: INSERT … ON CONFLICT through that fails when it is
unique.

Told by pg_index.indisvalid, looked at twice; not reported while somebody builds an index on the table. Names that end in _ccnew or _ccold
are what REINDEX CONCURRENTLY made for a moment: they are dropped. Others are built anew, which fails for a unique one as long as
the rows that stand twice are there: delete those first. After that, ATTACH is said again, since REINDEX does not make the
index of the partitioned table valid. The index of a partitioned table itself is looked at by index_missing_on_leaf and
index_parent_invalid.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const first = await readInvalid(scene);
    if (first.length === 0) return { found: [] };
    // A build that ended after the snapshot and before its lock was looked for was reported as nobody's: it is valid by now.
    const still = new Set((await readInvalid(scene)).map(({ oid }) => oid));
    const invalid = first.filter(({ oid }) => still.has(oid));
    const groups = groupBy(invalid, ({ rootIndex, index }) => rootIndex ?? index);
    return { found: [...groups.values()].map(describe) };
  },
};

function describe(group: readonly InvalidIndex[]): Found {
  const [one] = group as [InvalidIndex];
  const { index, rootIndex, table } = one;
  const isUnique = rootIndex !== null && one.rootIsUnique;
  const which =
    group.length === 1 ? `${index} on ${table} is` : `${rootIndex} is, on ${partitions(group.length)},`;
  const above =
    rootIndex === null
      ? ''
      : ` It keeps ${rootIndex} invalid${isUnique ? ': INSERT … ON CONFLICT through its table fails' : ''}.`;
  return {
    severity: isUnique ? 'critical' : 'warning',
    object: group.length === 1 ? index : (rootIndex as string),
    message: `${which} invalid: no query uses it, and writes still maintain it.${above}`,
    evidence: {
      table,
      indexes: firstFew(group.map((each) => each.index)),
      partitions: group.length,
      parentIndex: one.parentIndex,
      unique: one.isUnique,
      leftover: one.isLeftover,
    },
    fixes: group.flatMap(fixesOf),
  };
}

function fixesOf(one: InvalidIndex): readonly Fix[] {
  const { index, parentIndex } = one;
  if (parentIndex !== null) {
    return [
      sqlFix('reindex', `reindex index concurrently ${index}`),
      sqlFix('reindex', `alter index ${parentIndex} attach partition ${index}`),
    ];
  }
  if (one.isLeftover) return [sqlFix('drop_index', `drop index concurrently if exists ${index}`)];
  // The partition has to have that index anyhow: repair drops what is left, builds and attaches.
  if (one.managedRoot !== null && one.isLacking) return [repairIndexes(one.managedRoot)];
  return [sqlFix('reindex', `reindex index concurrently ${index}`)];
}
