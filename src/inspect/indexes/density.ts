import type { Btree } from './btrees.ts';

/** How it is known how full an index is. */
type DensityMethod = 'measured' | 'from types' | 'from statistics';

/** How full the leaf pages of an index are, in percent. */
export interface Density {
  readonly percent: number;
  readonly method: DensityMethod;
}

/**
 * Estimates how full an index is from its size, its rows and the widths of its columns; null: it cannot be told.
 *
 * Deduplication is left out: with it the rows need less than this, so that an index is never taken for emptier than it is.
 */
export function estimateDensity({ columns, rows, bytes, blockSize }: Btree): Density | null {
  if (rows === null || columns.some(({ width }) => width === null)) return null;
  // IndexTupleData, and the columns aligned as their types want it; short values of varying length are not aligned.
  const end = columns.reduce(
    (at, { width, align, isFixed }) => alignTo(at, isFixed ? align : 1) + (width ?? 0),
    8,
  );
  const tuple = alignTo(end, 8) + 4;
  // Page header, the B-tree's own data at its end, and the high key.
  const perPage = Math.max(1, Math.floor((blockSize - 24 - 16) / tuple) - 1);
  const percent = (100 * (rows / perPage) * blockSize) / Math.max(bytes, blockSize);
  const isTyped = columns.every(({ isFixed }) => isFixed);
  return { percent, method: isTyped ? 'from types' : 'from statistics' };
}

function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}
