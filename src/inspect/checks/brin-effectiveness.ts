import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { readOverlaps } from '../indexes/brin-contents.ts';
import {
  describeHidden,
  LEAST_RANGES,
  orderFixes,
  rangesOf,
  reliesOnOrder,
  unjudged,
} from '../indexes/brin-order.ts';
import { type Brin, readBrins } from '../indexes/brins.ts';
import { firstFew, partitions } from '../indexes/tree.ts';
import type { Scene } from '../scene.ts';

/** Finds BRIN indexes that exclude next to nothing. */
export const brinEffectiveness: Check = {
  name: 'brin_effectiveness',
  area: 'indexes',
  finds: 'BRIN indexes whose ranges overlap so much that a query reads most of the partition',
  explanation: `A BRIN index keeps minimum and maximum of each range of pages. It is worth something as long as rows lie on disk in about the order of
the column. After a backfill device by device, or a load in no order, every range spans the whole partition: a query for one minute
reads all of it, and the index only adds to the work.

Superusers with the extension pageinspect have it measured: in how many of the ranges an instant lies on average. In the order of time it
is one of them, in no order all. Without that it is judged by pg_stats.correlation of each partition itself; the figure of the
partitioned table as a whole stays near 1 even when two of three partitions are in no order, since partitions follow each other.
Correlation errs where some few devices were loaded one after another: then an index may still exclude much.

Looked at are columns, not expressions, whose operator class keeps minimum and maximum, on tables of sixteen ranges and more; what has a
B-tree index beginning with the same column does not depend on the order. The fix builds one on the partition. The other way is to rewrite
the partition in the order of time, by CLUSTER, which holds everybody off it, or pg_repack; for outliers alone (late rows) minmax_multi
operator classes (14 and later) do.`,
  thresholds: {
    overlap_percent: {
      value: 66,
      unit: 'percent of the ranges',
      source:
        'Next to 0 in the order of time, 100 in no order; one row in a hundred that is late, by up to the whole partition, makes 49 (measured on 18)',
    },
    correlation: {
      value: 0.3,
      unit: 'absolute correlation',
      source:
        'In the order of time 1, with one row in a hundred late 0.99, of two loads one after the other 0.5, in no order 0 (measured on 18)',
    },
  },
  opens: true,
  look: async (scene) => {
    const brins = (await readBrins(scene)).filter(reliesOnOrder);
    const overlaps = await measure(scene, brins);
    const rest = brins.filter(({ oid }) => !overlaps.has(oid));
    const limit = scene.threshold('overlap_percent');
    const bad = brins.filter((brin) => {
      const overlap = overlaps.get(brin.oid);
      if (overlap !== undefined) return overlap > limit;
      return brin.correlation !== null && Math.abs(brin.correlation) < scene.threshold('correlation');
    });
    const found = [...groupBy(bad, ({ rootIndex }) => rootIndex).values()].map((group) =>
      describe(group, overlaps),
    );
    const { hidden, young } = unjudged(rest);
    const all =
      hidden.length === 0 ? found : [...found, describeHidden(hidden, ', or superuser and pageinspect')];
    return young.length === 0 ? { found: all } : { found: all, ripeAt: null };
  },
};

/** Gives the percentage of ranges in which an instant lies, for those that can be measured. */
async function measure(scene: Scene, brins: readonly Brin[]): Promise<ReadonlyMap<number, number>> {
  const { pageinspect } = scene.capabilities;
  const measurable = brins.filter((brin) => brin.measure !== null);
  if (pageinspect === null || measurable.length === 0) return new Map();
  const overlaps = await readOverlaps(scene, pageinspect, measurable);
  // Of few ranges that are summarized, as after a load, nothing follows for the others.
  const enough = new Map(measurable.map((brin) => [brin.oid, rangesOf(brin) / 2]));
  return new Map(
    overlaps
      .filter(({ oid, ranges }) => ranges >= Math.max(LEAST_RANGES, enough.get(oid) ?? 0))
      .map(({ oid, ranges, matched }) => [oid, (100 * matched) / ranges]),
  );
}

function describe(group: readonly Brin[], overlaps: ReadonlyMap<number, number>): Found {
  const [{ oid, rootIndex, rootTable, index, table, correlation }] = group as [Brin];
  const overlap = overlaps.get(oid) ?? null;
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  const how =
    overlap === null
      ? `rows of ${table} lie in no order of it (correlation ${correlation?.toFixed(2)})`
      : `an instant lies in ${Math.round(overlap)} % of the ranges of ${table}`;
  return {
    severity: 'warning',
    object: rootIndex,
    message: `${rootIndex} excludes next to nothing${where}: ${how}. Queries for any time read nearly all of it.`,
    evidence: {
      table: rootTable,
      tables: firstFew(group.map((one) => one.table)),
      partitions: rootIndex === index ? null : group.length,
      method: overlap === null ? 'correlation' : 'measured',
      overlapPercent: overlap === null ? null : Math.round(overlap),
      correlation,
    },
    fixes: group.flatMap(orderFixes),
  };
}
