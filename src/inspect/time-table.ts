import type { Leaf } from '../partitions/read.ts';
import type { KeyType, Range } from '../time/instant.ts';

/** A partition of a table that is partitioned by time. */
export interface TimeLeaf extends Leaf {
  /** As SQL spells it. */
  readonly qualified: string;
  /** The same as a table of time, when it is partitioned further by the same column; else null. */
  readonly below: TimeTable | null;
}

/** The DEFAULT partition of such a table. */
export interface TimeDefault {
  readonly oid: number;
  readonly qualified: string;
  readonly relkind: string;
}

/** A table that is partitioned by range of a time, be it a partition itself. */
export interface TimeTable {
  readonly oid: number;
  /** The table at the top, whatever that is partitioned by: its own OID, if it is that. */
  readonly root: number;
  readonly owner: string;
  readonly schema: string;
  readonly name: string;
  /** As SQL spells it. */
  readonly qualified: string;
  /** The column that it is partitioned by; null: an expression. */
  readonly key: string | null;
  readonly keyType: KeyType;
  /** Commands of sensordb take it: its key is one plain column. */
  readonly isManaged: boolean;
  /** The table that it is a partition of, when that is partitioned by the same column; null: it is not. */
  readonly above: number | null;
  /** Which rows come to it: all, or those of the bounds that it has in a table of time somewhere above. */
  readonly extent: Range;
  /** In the order of their lower bounds; those whose detach is pending, too. */
  readonly leaves: readonly TimeLeaf[];
  readonly default: TimeDefault | null;
}

/** Cuts a range to another that it overlaps. */
export function clip(range: Range, to: Range): Range {
  return {
    lower: range.lower > to.lower ? range.lower : to.lower,
    upper: range.upper < to.upper ? range.upper : to.upper,
  };
}
