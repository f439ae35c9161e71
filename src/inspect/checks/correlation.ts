import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { describeHidden, orderFixes, reliesOnOrder, unjudged } from '../indexes/brin-order.ts';
import { type Brin, readBrins } from '../indexes/brins.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds partitions whose rows do not lie in the order that a BRIN index relies on. */
export const correlation: Check = {
  name: 'correlation',
  area: 'indexes',
  finds: 'partitions whose rows do not lie in the order that their BRIN index relies on',
  explanation: `pg_stats.correlation tells how far the order of rows on disk follows a column: 1 or -1 in its order, 0 in none. A BRIN index excludes
the less the smaller it is, and the planner reckons with it: it takes a BRIN index for useless where the correlation is poor, even if
the index would exclude much.

Looked at are the columns, not the expressions, of BRIN indexes that keep minimum and maximum, on tables of sixteen ranges and more which
have no B-tree index beginning with that column. The figure is that of each partition itself, not the inherited one of the partitioned
table, which stays near 1 whatever the partitions look like. It is a note: brin_effectiveness warns when the index has become useless.`,
  thresholds: {
    least: {
      value: 0.75,
      unit: 'absolute correlation',
      source:
        'In the order of time 1, with one row in a hundred late 0.99, of two loads one after the other 0.5 (measured on 18)',
    },
  },
  opens: true,
  look: async (scene) => {
    const brins = (await readBrins(scene)).filter(reliesOnOrder);
    const poor = brins.filter(
      (one) => one.correlation !== null && Math.abs(one.correlation) < scene.threshold('least'),
    );
    const found = [...groupBy(poor, ({ rootIndex }) => rootIndex).values()].map(describe);
    const { hidden, young } = unjudged(brins);
    const all = hidden.length === 0 ? found : [...found, describeHidden(hidden, '')];
    return young.length === 0 ? { found: all } : { found: all, ripeAt: null };
  },
};

function describe(group: readonly Brin[]): Found {
  const worst = group.toSorted(
    (a, b) => Math.abs(a.correlation ?? 0) - Math.abs(b.correlation ?? 0),
  )[0] as Brin;
  const { rootIndex, rootTable, index, table, column } = worst;
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  return {
    severity: 'info',
    object: rootTable,
    key: rootIndex,
    message: `The rows of ${rootTable} do not lie in the order of ${column}${where}, which ${rootIndex} relies on: the correlation is ${worst.correlation?.toFixed(2)} on ${table}.`,
    evidence: {
      index: rootIndex,
      column,
      tables: firstFew(group.map((one) => one.table)),
      partitions: rootIndex === index ? null : group.length,
      correlation: worst.correlation,
    },
    fixes: group.flatMap(orderFixes),
  };
}
