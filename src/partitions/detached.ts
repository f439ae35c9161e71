import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { type Instant, parseInstant, type Range } from '../time/instant.ts';

/** A publication that a leaf was a member of by itself, not through its parent. */
export interface PublicationMembership {
  readonly name: string;
  /** Null: all columns. Column lists and row filters are new in PostgreSQL 15. */
  readonly columns: readonly string[] | null;
  /** As pg_get_expr prints it; null: all rows. */
  readonly filter: string | null;
}

/** A leaf that sensordb detached from a table, or was about to when it was interrupted, and that is still there. */
export interface DetachedLeaf {
  /** Its row in sensordb.detached_leaf. */
  readonly id: string;
  readonly oid: number;
  /** Where it is now. */
  readonly schema: string;
  readonly name: string;
  /** It holds rows itself: it is neither partitioned further nor a foreign table. */
  readonly isPlain: boolean;
  readonly range: Range;
  /** `FOR VALUES FROM … TO …`, in UTC. */
  readonly bound: string;
  /** `detaching`: the run that began it did not come to its end. */
  readonly state: 'detaching' | 'detached';
  /** It is a partition of the table, still or again. */
  readonly isAttached: boolean;
  /** Where it was, and where an attach puts it back. */
  readonly homeSchema: string;
  /** Where the detach is to move it; null leaves it where it is. */
  readonly targetSchema: string | null;
  /** The CHECK on its bounds that the detach left on it; null when there is none (any more). */
  readonly checkName: string | null;
  /** Whether that CHECK is there and validated. */
  readonly checkIsValid: boolean;
  /** It had CHECK constraints before, which may spare PostgreSQL the making of one on the bounds. */
  readonly hasOwnChecks: boolean;
  readonly publications: readonly PublicationMembership[];
  readonly detachedAt: Instant;
  readonly detachedBy: string;
}

type DetachedRow = Omit<DetachedLeaf, 'range' | 'detachedAt'> & {
  readonly lower: string;
  readonly upper: string;
  readonly detachedAt: string;
};

/**
 * Reads the leaves that were detached from a table, in the order of their lower bounds; none before the first detach.
 *
 * A leaf is known by its OID and its name together: what only has the name, or an OID that was used again, is another
 * table. Two queries at most; waits for no lock. With an OID it reads that leaf alone.
 */
export async function readDetached(
  session: Session,
  table: PartitionedTable,
  leafOid: number | null = null,
): Promise<readonly DetachedLeaf[]> {
  const { rows: known } = await sql<{ isThere: boolean }>`
    select to_regclass('sensordb.detached_leaf') is not null as "isThere"`.execute(session.db);
  if (known[0]?.isThere !== true) return [];
  const { rows } = await sql<DetachedRow>`
    select d.id::text as id, c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind = 'r' as "isPlain",
           d.lower_bound::text as lower, d.upper_bound::text as upper, d.bound, d.state,
           coalesce(i.inhparent = d.parent_oid, false) as "isAttached",
           d.leaf_schema as "homeSchema", d.target_schema as "targetSchema", k.conname::text as "checkName",
           coalesce(k.convalidated, false) as "checkIsValid",
           cardinality(d.own_checks) > 0 as "hasOwnChecks", d.publications,
           d.detached_at::text as "detachedAt", d.detached_by as "detachedBy"
      from sensordb.detached_leaf d
      join pg_class c on c.oid = d.leaf_oid and c.relname = d.leaf_name
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_inherits i on i.inhrelid = c.oid
      left join lateral (
        -- DETACH CONCURRENTLY chooses the name itself: until it is noted, the CHECK is the one that was not there before. One
        -- that is not about the key alone is somebody else's, whatever its name.
        select o.conname, o.convalidated from pg_constraint o
         where o.conrelid = c.oid and o.contype = 'c'
           and o.conkey = array(select a.attnum from pg_attribute a where a.attrelid = c.oid and a.attname = ${table.key})
           and (o.conname = d.check_name or d.check_name is null and o.conname <> all (d.own_checks))
         order by o.oid limit 1) k on true
     where d.parent_oid = ${String(table.oid)}::oid and d.state in ('detaching', 'detached')
       and (${leafOid}::text is null or d.leaf_oid = ${leafOid}::text::oid)
     order by d.lower_bound, d.leaf_name`.execute(session.db);
  return rows.map(({ lower, upper, detachedAt, ...row }) => ({
    ...row,
    range: { lower: instantOf(lower), upper: instantOf(upper) } satisfies Range,
    detachedAt: instantOf(detachedAt),
  }));
}

/** Reads them in a transaction of its own; null for a role that has no right on schema sensordb, such as one that only looks. */
export async function readDetachedIfAllowed(
  session: Session,
  table: PartitionedTable,
): Promise<readonly DetachedLeaf[] | null> {
  try {
    return await reading(session, () => readDetached(session, table));
  } catch (thrown) {
    if (sqlstateOf(thrown) === SQLSTATE.insufficientPrivilege) return null;
    throw thrown;
  }
}

function instantOf(text: string): Instant {
  const instant = parseInstant(text);
  if (instant === null) throw new Error(`sensordb.detached_leaf holds no instant: ${text}`);
  return instant;
}
