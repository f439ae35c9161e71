import { groupBy } from '../../partitions/drift.ts';

/** An index that is attached to none, with what is counted of those attached to it. */
export interface LogicalRow {
  /** As SQL spells it, with its schema; the tables, too. */
  readonly index: string;
  readonly table: string;
  readonly rootTable: string;
  readonly isPartitioned: boolean;
  /** It belongs to a partition alone. */
  readonly isOfPartition: boolean;
  readonly leaves: number;
  readonly scans: number;
  readonly lastScan: number | null;
  readonly bytes: number;
  /** The server counts scans. */
  readonly counts: boolean;
  readonly hasExpressions: boolean;
  /** Since when its scans are counted, in milliseconds since 1970 as lastScan is; null: unknown. */
  readonly since: number | null;
  /** Of one of a partition alone: those that index the same have the same. */
  readonly shape: string | null;
}

/** One logical index: of a table, of a partitioned one, or the same on several partitions. */
export interface Logical extends Omit<LogicalRow, 'index' | 'shape' | 'counts'> {
  readonly object: string;
  /** The indexes to drop. */
  readonly indexes: readonly string[];
  /** The columns, where there can be several on one object. */
  readonly key: string | undefined;
}

/** Takes together the indexes of partitions that index the same and are attached to none. */
export function toLogical(rows: readonly LogicalRow[]): readonly Logical[] {
  const groups = groupBy(rows, ({ isOfPartition, rootTable, shape, index }) =>
    isOfPartition ? `${rootTable}\n${shape}` : index,
  );
  return [...groups.values()].map(merge);
}

function merge(rows: readonly LogicalRow[]): Logical {
  const [first] = rows as [LogicalRow];
  const latest = (dates: readonly (number | null)[]): number | null =>
    dates.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
  const sum = (of: (row: LogicalRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  return {
    ...first,
    object: rows.length === 1 ? first.index : first.rootTable,
    indexes: rows.map(({ index }) => index),
    key: first.shape === null ? undefined : columnsOf(first.shape),
    leaves: sum(({ leaves }) => leaves),
    scans: sum(({ scans }) => scans),
    bytes: sum(({ bytes }) => bytes),
    lastScan: latest(rows.map(({ lastScan }) => lastScan)),
    since: latest(rows.map(({ since }) => since)),
  };
}

/** Of what shapeOf spells: names would change with the partitions. */
function columnsOf(shape: string): string {
  const [outline] = JSON.parse(shape) as [readonly [...unknown[], readonly (readonly [string | null])[]]];
  return (outline.at(-1) as readonly (readonly [string | null])[])
    .map(([name]) => name ?? 'expression')
    .join();
}
