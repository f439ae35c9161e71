import { quoteIdentifier } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { dropIndexFix, type Fix } from '../fix.ts';
import { readCompleteIndexes } from '../indexes/complete.ts';
import { findRedundant, type Redundant } from '../indexes/redundant.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds indexes that another of the same table makes needless. */
export const indexDuplicate: Check = {
  name: 'index_duplicate',
  area: 'indexes',
  finds: 'indexes that another index of the same table makes needless',
  explanation: `Two indexes on the same columns cost every insert twice and serve no query more than one does. A B-tree index whose columns are the
first of another's is needless most often, too: that is told as a note, since the narrower one is smaller, and faster for queries that
need no more.

Indexes of a partitioned table are compared there, once. On partitions only those are looked at that are attached to none: one that was
built on a partition by hand beside the one that comes from the table is the commonest duplicate there.

Two indexes count as alike when method, columns or expressions, operator classes and their parameters, collations, order, predicate and
NULLS NOT DISTINCT are. A unique index is needless only beside another unique one of the same columns, a constraint only beside one
that says the same; columns of INCLUDE must be in the other as well. Replica identities, and what foreign keys refer to, are never
reported. Of two alike that one stays on which more depends, then one that has been scanned, then the older one.

It is wrong when queries were tuned to the narrower index. One that has been scanned beside a wider one that has not is left alone:
queries prefer it, and if one of the two is to go, it is the wider one, which index_unused reports.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const tables = groupBy(await readCompleteIndexes(scene), ({ relation }) => relation);
    const redundant = [...tables.values()].flatMap(findRedundant);
    const groups = groupBy(redundant, ({ index, isExact }) =>
      index.isOfPartition ? `${index.rootTable}\n${isExact}\n${index.shape}` : index.index,
    );
    return { found: [...groups.values()].map(describe) };
  },
};

function describe(group: readonly Redundant[]): Found {
  const [{ index, by, isExact }] = group as [Redundant];
  const many = group.length > 1;
  const which = many ? `${index.index}, and its like on ${partitions(group.length)} in all,` : index.index;
  const isSame = index.keys.length === by.keys.length;
  const what = isSame ? 'indexes the same as' : 'indexes the first columns of';
  const so = isExact ? 'Every insert writes into both.' : `Queries can use ${by.index}, which does more.`;
  return {
    severity: isExact ? 'warning' : 'info',
    object: many ? index.rootTable : index.index,
    key: by.topIndex,
    message: `${which} ${what} ${by.index}. ${so}`,
    evidence: {
      table: many ? index.rootTable : index.table,
      indexes: firstFew(group.map((one) => one.index.index)),
      coveredBy: by.index,
      exact: isExact,
      constraint: index.constraintName,
      partitions: index.isOfPartition ? group.length : null,
    },
    fixes: group.map(dropping),
  };
}

function dropping({ index: dropped, by }: Redundant): Fix {
  const { index, table, isPartitioned, constraintName } = dropped;
  const text =
    constraintName === null
      ? `drop index ${isPartitioned ? '' : 'concurrently '}${index}`
      : `alter table ${table} drop constraint ${quoteIdentifier(constraintName)}`;
  return dropIndexFix(text, dropped, by.topIndex);
}
