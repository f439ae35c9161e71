import type { Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { Brin } from './brins.ts';
import { firstFew } from './tree.ts';

/** Fewer ranges than these are read in a moment, whatever their order. */
export const LEAST_RANGES = 16;

/** Counts the ranges that are full. */
export function rangesOf({ heapPages, pagesPerRange }: Brin): number {
  return Math.floor(heapPages / pagesPerRange);
}

/** Tells whether queries depend on the order of a partition's rows: a BRIN index on a column, of many ranges, and no B-tree in its place. */
export function reliesOnOrder(brin: Brin): boolean {
  return brin.isMinmax && brin.column !== null && !brin.hasBtree && rangesOf(brin) >= LEAST_RANGES;
}

/** A B-tree serves until the rows are in order. */
export function orderFixes({ table, rootTable, column }: Brin): readonly Fix[] {
  const text = `create index concurrently on ${table} (${column})`;
  return [{ ...sqlFix('create_index', text), indexes: rootTable }];
}

/** What lacks statistics: those that the role may not see, and those that were never gathered. */
export interface Unjudged {
  readonly hidden: readonly Brin[];
  readonly young: readonly Brin[];
}

/** Sorts out which of the indexes cannot be judged by the correlation of their column. */
export function unjudged(brins: readonly Brin[]): Unjudged {
  const without = brins.filter(({ correlation }) => correlation === null);
  return {
    hidden: without.filter(({ isVisible }) => !isVisible),
    young: without.filter(({ isVisible, isAnalyzed }) => isVisible && !isAnalyzed),
  };
}

/** Reports that the correlation of some partitions is not to be seen. */
export function describeHidden(hidden: readonly Brin[], more: string): Found {
  const [first] = hidden as [Brin];
  const needs = `SELECT on the partitions themselves or pg_read_all_data${more}`;
  return {
    severity: 'unknown',
    object: first.rootIndex,
    message: `Could not be checked on ${hidden.length} of the tables with BRIN indexes: their statistics are not to be seen. It needs ${needs}.`,
    evidence: { needs, tables: firstFew(hidden.map(({ table }) => table)), hidden: hidden.length },
    fixes: [],
  };
}
