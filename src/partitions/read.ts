import { sql } from 'kysely';
import { parseBound } from '../db/bounds.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import type { Range } from '../time/instant.ts';
import { compare } from './coverage.ts';

/** A direct partition of a table, with a range of its own. */
export interface Leaf {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
  /** It holds rows itself: it is neither partitioned further nor a foreign table. */
  readonly isPlain: boolean;
  /**
   * `detach_pending`: an interrupted DETACH CONCURRENTLY. Its rows are invisible through the parent and inserts into its
   * range fail, yet its bounds are still taken (PostgreSQL 14 to 18).
   */
  readonly state: 'attached' | 'detach_pending';
}

/** The DEFAULT partition of a table. */
export interface DefaultPartition {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** It holds rows itself: it is neither partitioned further nor a foreign table. */
  readonly isPlain?: boolean;
  /** A CHECK of ours that a killed run has left: it refuses rows of some period. */
  readonly leftGuard?: string | null;
}

/** How the name begins of every CHECK that keeps rows of a period out of DEFAULT while its leaf is attached. */
export const GUARD = 'sensordb_guard';

/** The partitions of a table, as the catalog has them. */
export interface Partitions {
  /** In the order of their lower bounds. */
  readonly leaves: readonly Leaf[];
  readonly default: DefaultPartition | null;
}

interface PartitionRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly plain: boolean;
  readonly bound: string;
  readonly pending: boolean;
  readonly guard: string | null;
}

/**
 * Reads the partitions of a table from the catalog: one query, however many there are, that waits for no lock.
 *
 * `pg_get_expr(relpartbound, 0)` prints a bound without opening the partition; given the partition's OID it would wait for
 * whoever holds ACCESS EXCLUSIVE on it (measured on 14 to 18).
 */
export async function readPartitions(session: Session, table: PartitionedTable): Promise<Partitions> {
  const { rows } = await sql<PartitionRow>`
    select c.oid, n.nspname::text as schema, c.relname::text as name,
           c.relkind = 'r' as plain, pg_get_expr(c.relpartbound, 0) as bound, i.inhdetachpending as pending,
           case when pg_get_expr(c.relpartbound, 0) = 'DEFAULT' then (
             select k.conname::text from pg_constraint k
              where k.conrelid = c.oid and k.contype = 'c' and starts_with(k.conname::text, ${GUARD}) limit 1) end as guard
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
      join pg_namespace n on n.oid = c.relnamespace
     where i.inhparent = ${String(table.oid)}::oid and c.relispartition`.execute(session.db);
  const leaves: Leaf[] = [];
  let defaultPartition: DefaultPartition | null = null;
  for (const { oid, schema, name, plain, bound, pending, guard } of rows) {
    const parsed = parseBound(bound, `${schema}.${name}`);
    if (parsed.kind === 'default') {
      defaultPartition = { oid, schema, name, isPlain: plain, leftGuard: guard };
    } else {
      const state = pending ? 'detach_pending' : 'attached';
      leaves.push({ oid, schema, name, range: parsed.range, isPlain: plain, state });
    }
  }
  leaves.sort((a, b) => compare(a.range.lower, b.range.lower) || (a.name < b.name ? -1 : 1));
  return { leaves, default: defaultPartition };
}

/** Lists the ranges that take rows: those of attached leaves. */
export function coveredRanges(leaves: readonly Leaf[]): readonly Range[] {
  return leaves.filter(({ state }) => state === 'attached').map(({ range }) => range);
}
