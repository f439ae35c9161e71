import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Found } from '../check.ts';
import { dropIndexFix } from '../fix.ts';
import { firstFew, isoInstant, partitions } from './tree.ts';
import type { Logical } from './unused-logical.ts';

/** Reports an index that nobody scans. */
export function describeUnused(one: Logical, warningBytes: number): Found {
  const { object, indexes, table, rootTable, isPartitioned, isOfPartition } = one;
  const { leaves, bytes, since, lastScan } = one;
  const what = indexes.length === 1 ? object : `The index ${indexes[0]}, and its like on other partitions,`;
  const where = isPartitioned || indexes.length > 1 ? ` on any of ${partitions(leaves)}` : '';
  const when =
    lastScan === null ? `since ${isoInstant(since)}` : `since the last scan at ${isoInstant(lastScan)}`;
  return {
    severity: bytes >= warningBytes ? 'warning' : 'info',
    object,
    ...(one.key === undefined ? {} : { key: one.key }),
    message: `${what} has not been scanned${where} ${when}. It takes ${prettyBytes(bytes)}, and every insert writes into it. Standbys count for themselves.`,
    evidence: {
      table: isOfPartition && indexes.length > 1 ? object : table,
      indexes: firstFew(indexes),
      partitions: isPartitioned || isOfPartition ? leaves : null,
      bytes,
      scans: one.scans,
      statisticsSince: isoInstant(since),
      lastScan: isoInstant(lastScan),
      hasExpressions: one.hasExpressions,
    },
    // The index of a partitioned table cannot be dropped CONCURRENTLY (14 to 18).
    fixes: indexes.map((index) =>
      dropIndexFix(`drop index ${isPartitioned ? '' : 'concurrently '}${index}`, {
        index,
        rootTable,
        isOfPartition,
      }),
    ),
  };
}
