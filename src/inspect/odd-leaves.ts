import { isBounded } from '../partitions/coverage.ts';
import { INTERVALS, type Interval, intervalOf } from '../time/periods.ts';
import { planRebounds, type Rebound } from './rebound.ts';
import type { TimeLeaf, TimeTable } from './time-table.ts';

/** Partitions of a table that are no periods as the others are. */
export interface OddLeaves {
  readonly leaves: readonly TimeLeaf[];
  /** Those of the others. */
  readonly intervals: readonly Interval[];
  /** What bounds they can be given. */
  readonly rebounds: readonly Rebound[];
}

/** So many of one interval, one after the other, are no accident. */
export const LEAST_ROW = 3;

/** Finds the partitions whose interval no row of at least so many has; null where there is no such row, or none is odd; pure. */
export function oddLeavesOf(table: TimeTable, least: number): OddLeaves | null {
  const rows = rowsOf(table.leaves.filter(({ range }) => isBounded(range)));
  const regular = rows.filter(({ interval, leaves }) => interval !== null && leaves.length >= least);
  const intervals = INTERVALS.filter((one) => regular.some(({ interval }) => interval === one));
  // A single month between odd partitions is as the others are.
  const isOdd = ({ interval }: Row): boolean => interval === null || !intervals.includes(interval);
  const leaves = rows.filter(isOdd).flatMap((row) => row.leaves);
  if (intervals.length === 0 || leaves.length === 0) return null;
  const [interval, ...others] = intervals;
  // Of two intervals nobody knows which was meant.
  const isClear = interval !== undefined && others.length === 0;
  return { leaves, intervals, rebounds: isClear ? planRebounds(table, leaves, interval) : [] };
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
