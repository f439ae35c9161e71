import { type RawBuilder, sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { INDEX_SHAPE, keptFirst, type ShapeRow, shapeOf } from './index-shape.ts';
import { oidList } from './repair-read.ts';

/** Where an index is. */
export interface IndexName {
  readonly schema: string;
  readonly name: string;
}

/** An index that is attached to another, and its table. */
export interface AttachedIndex extends IndexName {
  /** Qualified and quoted. */
  readonly relation: string;
}

/** An index of the table itself. */
export interface TableIndex extends IndexName {
  readonly oid: number;
  readonly valid: boolean;
  /** Of an exclusion constraint, which no index that is built aside can be attached to. */
  readonly isExclusion: boolean;
  /** One of the leaves' indexes that are attached to it. */
  readonly child: AttachedIndex | null;
}

/** A partition that has no valid index attached, directly or over its parents' indexes, to an index of the table. */
export interface Lacking {
  readonly oid: number;
  readonly root: number;
  /** The index that is attached but not valid; null: none is attached. */
  readonly attached: (IndexName & { readonly oid: number; readonly child: AttachedIndex | null }) | null;
}

/** An index of a partition that is not attached to one of the table, or an index of the table itself. */
export interface LooseIndex extends IndexName {
  readonly oid: number;
  readonly relation: number;
  readonly valid: boolean;
  /** The index of a partition in between that it is attached to. */
  readonly parent: number | null;
  /** `p` or `u` when a constraint stands on it, then its deferrability as IndexTemplate spells it. */
  readonly constraint: string | null;
  readonly options: readonly string[];
  /** Two indexes that index the same have the same. */
  readonly shape: string;
}

/** The indexes below the table's, whatever the depth: whose partition, and under which of the table's. */
export const ATTACHED = (table: PartitionedTable) => sql`
  attached (root, oid, relation) as (
    select x.indexrelid, x.indexrelid, x.indrelid from pg_index x
     where x.indrelid = ${String(table.oid)}::oid and x.indislive
    union all
    select a.root, x.indexrelid, x.indrelid from attached a
      join pg_inherits h on h.inhparent = a.oid
      join pg_index x on x.indexrelid = h.inhrelid
  )`;

/** One index that is attached to another, as JSON. */
const CHILD = (index: RawBuilder<unknown>) => sql`
  (select jsonb_build_object('schema', cn.nspname, 'name', ci.relname, 'relation', format('%I.%I', rn.nspname, cr.relname))
     from pg_inherits h
     join pg_class ci on ci.oid = h.inhrelid
     join pg_namespace cn on cn.oid = ci.relnamespace
     join pg_index cx on cx.indexrelid = ci.oid
     join pg_class cr on cr.oid = cx.indrelid
     join pg_namespace rn on rn.oid = cr.relnamespace
    where h.inhparent = ${index} order by ci.relname limit 1)`;

/** Reads the indexes of the table itself. */
export async function readTableIndexes(
  session: Session,
  table: PartitionedTable,
): Promise<readonly TableIndex[]> {
  const { rows } = await sql<TableIndex>`
    select i.oid, n.nspname::text as schema, i.relname::text as name, x.indisvalid as valid,
           x.indisexclusion as "isExclusion", ${CHILD(sql.raw('i.oid'))} as child
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
     where x.indrelid = ${String(table.oid)}::oid and x.indislive
     order by x.indisprimary desc, i.relname`.execute(session.db);
  return rows;
}

/** Finds the partitions that lack an index of the table, or have it attached but invalid. */
export async function readLacking(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly Lacking[]> {
  const { rows } = await sql<Lacking>`
    with recursive ${ATTACHED(table)}
    select m.oid, r.oid as root,
           case when i.oid is not null then jsonb_build_object('oid', i.oid::int8, 'schema', n.nspname, 'name', i.relname,
                                                            'child', ${CHILD(sql.raw('i.oid'))}) end as attached
      from unnest(${oidList(oids)}::oid[]) m (oid)
      cross join (select a.oid from attached a where a.oid = a.root) r
      left join attached a on a.root = r.oid and a.relation = m.oid
      left join pg_index x on x.indexrelid = a.oid
      left join pg_class i on i.oid = a.oid
      left join pg_namespace n on n.oid = i.relnamespace
     where x.indisvalid is distinct from true`.execute(session.db);
  return rows;
}

type LooseRow = Omit<LooseIndex, 'shape'> & ShapeRow;

/**
 * Reads the indexes of the table, and those of its partitions that are not attached to them, in a comparable shape; of several alike
 * the one first that is to stay.
 */
export async function readLooseIndexes(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly LooseIndex[]> {
  const { rows } = await sql<LooseRow>`
    with recursive ${ATTACHED(table)}
    select i.oid, x.indrelid as relation, n.nspname::text as schema, i.relname::text as name, x.indisvalid as valid,
           h.inhparent as parent, coalesce(to_jsonb(i.reloptions), '[]') as options,
           c.contype::text || case when c.condeferred then ' deferrable initially deferred'
                             when c.condeferrable then ' deferrable' else '' end as constraint,
           ${INDEX_SHAPE}
      from pg_index x
      join pg_class i on i.oid = x.indexrelid
      join pg_namespace n on n.oid = i.relnamespace
      left join pg_inherits h on h.inhrelid = i.oid
      left join pg_constraint c on c.conindid = i.oid and c.conrelid = x.indrelid and c.contype in ('p', 'u')
     where x.indrelid = ${String(table.oid)}::oid and x.indislive
        or x.indrelid = any (${oidList(oids)}::oid[]) and not exists (select from attached a where a.oid = i.oid)
     order by ${keptFirst()}`.execute(session.db);
  return rows.map(({ outline, expressions, predicate, layout, ...row }) => ({
    ...row,
    shape: shapeOf({ outline, expressions, predicate, layout }),
  }));
}
