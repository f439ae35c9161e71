import { type RawBuilder, sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { type ColumnLayout, comparableTree } from './node-tree.ts';
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

/** An attached index of a partition that has other storage parameters than the newest leaf's. */
export interface IndexOptions extends IndexName {
  readonly oid: number;
  readonly root: number;
  readonly options: readonly string[];
  /** Those of the newest leaf's index, then those of the table's own. */
  readonly wanted: readonly string[];
}

/** A partition whose replica identity is not its parent's. */
export interface IdentityFound {
  readonly oid: number;
  /** Its attached index that corresponds to the table's identity, if there is one. */
  readonly index: string | null;
}

/** The indexes below the table's, whatever the depth: whose partition, and under which of the table's. */
const ATTACHED = (table: PartitionedTable) => sql`
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

type LooseRow = Omit<LooseIndex, 'shape'> & {
  readonly outline: unknown;
  readonly expressions: string | null;
  readonly predicate: string | null;
  readonly layout: ColumnLayout | null;
};

/**
 * Reads the indexes of the table, and those of its partitions that are not attached to them, in a comparable shape.
 *
 * It holds what CompareIndexInfo compares when an index is attached, and order and nulls besides, which that passes over
 * (14 to 18). From the catalog's columns: pg_get_indexdef would wait for a lock on any of the partitions.
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
           jsonb_build_array(i.relam::int8, x.indisunique, to_jsonb(x) -> 'indnullsnotdistinct', x.indnkeyatts,
             x.indisexclusion, (
             select jsonb_agg(jsonb_build_array(a.attname, x.indcollation[k]::int8, x.indclass[k]::int8,
                                x.indoption[k], o.attoptions) order by k)
               from generate_series(0, x.indnatts - 1) k
               left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[k] and x.indkey[k] <> 0
               left join pg_attribute o on o.attrelid = i.oid and o.attnum = k + 1)) as outline,
           x.indexprs::text as expressions, x.indpred::text as predicate,
           case when x.indexprs is not null or x.indpred is not null then (
             select jsonb_object_agg(a.attnum, a.attname) from pg_attribute a
              where a.attrelid = x.indrelid and a.attnum > 0 and not a.attisdropped) end as layout
      from pg_index x
      join pg_class i on i.oid = x.indexrelid
      join pg_namespace n on n.oid = i.relnamespace
      left join pg_inherits h on h.inhrelid = i.oid
      left join pg_constraint c on c.conindid = i.oid and c.conrelid = x.indrelid and c.contype in ('p', 'u')
     where x.indrelid = ${String(table.oid)}::oid and x.indislive
        or x.indrelid = any (${oidList(oids)}::oid[]) and not exists (select from attached a where a.oid = i.oid)
     order by i.relname`.execute(session.db);
  return rows.map(({ outline, expressions, predicate, layout, ...row }) => ({
    ...row,
    shape: JSON.stringify([
      outline,
      comparableTree(expressions, layout ?? {}),
      comparableTree(predicate, layout ?? {}),
    ]),
  }));
}

/** Finds attached indexes whose storage parameters differ from those of the newest leaf's and of the table's own. */
export async function readIndexOptions(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
  model: number,
): Promise<readonly IndexOptions[]> {
  const { rows } = await sql<IndexOptions>`
    with recursive ${ATTACHED(table)},
    wanted (root, options) as (
      select r.oid, coalesce(li.reloptions, '{}') || coalesce(ri.reloptions, '{}')
        from attached r
        join pg_class ri on ri.oid = r.oid
        left join (attached l join pg_class li on li.oid = l.oid) on l.root = r.oid and l.relation = ${String(model)}::oid
       where r.oid = r.root
    )
    select a.relation as oid, a.root, n.nspname::text as schema, i.relname::text as name,
           coalesce(to_jsonb(i.reloptions), '[]') as options, to_jsonb(w.options) as wanted
      from attached a
      join wanted w on w.root = a.root
      join pg_class i on i.oid = a.oid and i.relkind = 'i'
      join pg_namespace n on n.oid = i.relnamespace
     where a.relation = any (${oidList(oids)}::oid[])
       and not w.options <@ coalesce(i.reloptions, '{}')
     order by i.relname`.execute(session.db);
  return rows;
}

/** Finds the partitions whose replica identity differs from the table's. */
export async function readIdentitiesFound(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly IdentityFound[]> {
  const { rows } = await sql<IdentityFound>`
    with recursive ${ATTACHED(table)}
    select c.oid, i.relname::text as index
      from pg_class p
      join pg_class c on c.oid = any (${oidList(oids)}::oid[])
      left join pg_index r on r.indrelid = p.oid and r.indisreplident and p.relreplident = 'i'
      left join attached a on a.root = r.indexrelid and a.relation = c.oid
      left join pg_index x on x.indexrelid = a.oid
      left join pg_class i on i.oid = a.oid
     where p.oid = ${String(table.oid)}::oid
       and (c.relreplident <> p.relreplident
            or p.relreplident = 'i' and r.indexrelid is not null and x.indisreplident is distinct from true)`.execute(
    session.db,
  );
  return rows;
}

/** Tells which of the indexes are not valid. */
export async function readStillInvalid(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlySet<number>> {
  const { rows } = await sql<{ oid: number }>`
    select x.indexrelid as oid from pg_index x
     where x.indexrelid = any (${oidList(oids)}::oid[]) and not x.indisvalid`.execute(session.db);
  return new Set(rows.map(({ oid }) => oid));
}

/** Tells whether an index is there and not valid: what an interrupted build leaves. */
export async function isLeftInvalid(session: Session, { schema, name }: IndexName): Promise<boolean> {
  const { rows } = await sql<{ oid: number }>`
    select x.indexrelid as oid
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
     where n.nspname = ${schema} and i.relname = ${name} and not x.indisvalid`.execute(session.db);
  return rows.length > 0;
}

/** Reads all names that an index could collide with in the given schemas. */
export async function readNamesIn(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, Set<string>>> {
  const taken = new Map(schemas.map((schema) => [schema, new Set<string>()]));
  if (schemas.length === 0) return taken;
  // A constraint's name has to be free among the table's own, which are its index's name here.
  const { rows } = await sql<{ schema: string; name: string }>`
    select n.nspname::text as schema, c.relname::text as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in (${sql.join(schemas)})`.execute(session.db);
  for (const { schema, name } of rows) taken.get(schema)?.add(name);
  return taken;
}
