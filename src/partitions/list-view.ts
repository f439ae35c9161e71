import type { PartitionedTable } from '../db/catalog.ts';
import type { Instant, Range } from '../time/instant.ts';
import type { Runway } from './coverage.ts';
import type { DetachedLeaf } from './detached.ts';
import type { PartitionStatistics } from './list-read.ts';
import type { Partitions } from './read.ts';

/** One line of `partitions list`. */
export interface ListedPartition {
  readonly schema: string;
  readonly name: string;
  readonly parent: string;
  /** Null for DEFAULT. */
  readonly range: Range | null;
  readonly isDefault: boolean;
  readonly state: 'attached' | 'detach_pending';
  readonly rowsEstimate: number | null;
  readonly bytes: number | null;
}

/** A leaf that was detached and is still there. */
export interface ListedDetached {
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
  readonly detachedAt: Instant;
  readonly detachedBy: string;
  readonly bytes: number | null;
}

/** Everything that `partitions list` shows. */
export interface PartitionList {
  readonly table: PartitionedTable;
  /** In the order of their lower bounds, DEFAULT last. */
  readonly partitions: readonly ListedPartition[];
  /** In the order of their lower bounds. */
  readonly detached: readonly ListedDetached[];
  readonly covered: readonly Range[];
  readonly gaps: readonly Range[];
  readonly runway: Runway;
  readonly hasDefault: boolean;
  /** Null without a DEFAULT, and when it could not be counted (then it is not exact). */
  readonly defaultRows: number | null;
  readonly defaultRowsExact: boolean;
}

/** Joins the partitions of a table with their statistics; pure. */
export function toListed(
  table: PartitionedTable,
  partitions: Partitions,
  statistics: readonly PartitionStatistics[],
): readonly ListedPartition[] {
  const byOid = new Map(statistics.map((line) => [line.oid, line]));
  const common = (oid: number) => ({
    parent: table.name,
    rowsEstimate: byOid.get(oid)?.rowsEstimate ?? null,
    bytes: byOid.get(oid)?.bytes ?? null,
  });
  const listed: ListedPartition[] = partitions.leaves.map(({ oid, schema, name, range, state }) => ({
    schema,
    name,
    range,
    isDefault: false,
    state,
    ...common(oid),
  }));
  const { default: byDefault } = partitions;
  if (byDefault === null) return listed;
  const { oid, schema, name } = byDefault;
  return [...listed, { schema, name, range: null, isDefault: true, state: 'attached', ...common(oid) }];
}

/** Joins detached leaves with their sizes; pure. */
export function toListedDetached(
  detached: readonly DetachedLeaf[],
  statistics: readonly PartitionStatistics[],
): readonly ListedDetached[] {
  const byOid = new Map(statistics.map((line) => [line.oid, line]));
  return detached.map(({ oid, schema, name, range, detachedAt, detachedBy }) => ({
    schema,
    name,
    range,
    detachedAt,
    detachedBy,
    bytes: byOid.get(oid)?.bytes ?? null,
  }));
}
