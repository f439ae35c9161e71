import { sql } from 'kysely';
import { parseBound } from '../../db/bounds.ts';
import { compare } from '../../partitions/coverage.ts';
import { groupBy } from '../../partitions/drift.ts';
import type { Range } from '../../time/instant.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

/** A partition, with all that lies below it. */
export interface PicturedLeaf {
  readonly name: string;
  /** Null: DEFAULT. */
  readonly range: Range | null;
  /** Null: somebody has locked it. */
  readonly tableBytes: number | null;
  readonly indexBytes: number | null;
  /** The planner's estimate; null: never analyzed. */
  readonly rows: number | null;
  /** From -1 to 1, how the rows lie by the partition key; null: unknown. */
  readonly correlation: number | null;
}

/** An index of the table, with all that belong to it on its partitions. */
export interface PicturedIndex {
  readonly name: string;
  readonly method: string;
  /** It is unique: it has a use though no query reads it. */
  readonly enforces: boolean;
  /** Scans since the statistics were reset, over all partitions. */
  readonly scans: number;
  /** Null: some partition is locked. */
  readonly bytes: number | null;
}

/** A table that is range-partitioned by time, as the pictures show it. */
export interface PicturedTable {
  readonly qualified: string;
  readonly key: string;
  readonly hasBrin: boolean;
  /** In the order of their lower bounds, DEFAULT last. */
  readonly leaves: readonly PicturedLeaf[];
  readonly indexes: readonly PicturedIndex[];
}

/** More tables than that make a page that nobody reads: the largest are shown. */
const MOST_TABLES = 8;

interface LeafRow {
  readonly table: string;
  readonly key: string;
  readonly hasBrin: boolean;
  readonly name: string;
  readonly bound: string;
  readonly tableBytes: number | null;
  readonly indexBytes: number | null;
  readonly rows: number | null;
  readonly correlation: number | null;
}

/**
 * Reads what the pictures show of the largest tables, the largest first, but for their indexes; in a transaction.
 *
 * One query, whatever the number of leaves, which leaves out what somebody has locked.
 */
export async function readTables(scene: Scene): Promise<readonly PicturedTable[]> {
  const leaves = await readLeaves(scene);
  const tables = [...groupBy(leaves, ({ table }) => table)].map(([qualified, rows]) =>
    toTable(qualified, rows),
  );
  return tables.toSorted((a, b) => sizeOf(b) - sizeOf(a)).slice(0, MOST_TABLES);
}

const sizeOf = ({ leaves }: PicturedTable): number =>
  leaves.reduce((sum, { tableBytes, indexBytes }) => sum + (tableBytes ?? 0) + (indexBytes ?? 0), 0);

function toTable(qualified: string, rows: readonly LeafRow[]): PicturedTable {
  const leaves = rows.map(({ name, bound, ...facts }) => {
    const parsed = parseBound(bound, name);
    const { tableBytes, indexBytes, rows: count, correlation } = facts;
    const range = parsed.kind === 'default' ? null : parsed.range;
    return { name, range, tableBytes, indexBytes, rows: count, correlation };
  });
  return {
    qualified,
    key: rows[0]?.key ?? '',
    hasBrin: rows.some(({ hasBrin }) => hasBrin),
    leaves: leaves.toSorted((a, b) => compareRanges(a.range, b.range)),
    indexes: [],
  };
}

function compareRanges(a: Range | null, b: Range | null): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return compare(a.lower, b.lower);
}

async function readLeaves(scene: Scene): Promise<readonly LeafRow[]> {
  const { rows } = await sql<LeafRow>`
    with recursive ${relationTree(scene)},
    parent as materialized (
      select r.oid, r.qualified, a.attname::text as key, a.attnum,
             exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
                      where x.indrelid = r.oid and m.amname = 'brin' and a.attnum = any (x.indkey)) as has_brin
        from relation r
        join pg_partitioned_table p on p.partrelid = r.oid and p.partstrat = 'r' and p.partnatts = 1
        join pg_attribute a on a.attrelid = r.oid and a.attnum = p.partattrs[0]
        left join pg_type t on t.oid = a.atttypid
       where r.level = 0 and coalesce(nullif(t.typbasetype, 0), a.atttypid) in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
    ),
    child (parent, top, oid) as (
      select p.oid, m.oid, m.oid from parent p join member m on m.parent = p.oid
      union all
      select c.parent, c.top, m.oid from child c join member m on m.parent = c.oid
    ),
    sized as materialized (
      select c.parent, c.top, r.oid, r.kind, r.name, case when r.is_locked then null else pg_table_size(r.oid) end as table_bytes,
             case when r.is_locked then null else pg_indexes_size(r.oid) end as index_bytes, k.reltuples
        from child c join relation r on r.oid = c.oid join pg_class k on k.oid = r.oid
       where r.is_leaf
    )
    select p.qualified as table, p.key, p.has_brin as "hasBrin", c.relname::text as name,
           pg_get_expr(c.relpartbound, 0) as bound,
           case when bool_and(s.table_bytes is not null) then sum(s.table_bytes)::float8 end as "tableBytes",
           case when bool_and(s.index_bytes is not null) then sum(s.index_bytes)::float8 end as "indexBytes",
           case when bool_and(s.reltuples >= 0) then sum(s.reltuples)::float8 end as rows,
           (select v.correlation::float8 from pg_stats v
             where v.schemaname = n.nspname and v.tablename = c.relname and v.attname = p.key and not v.inherited) as correlation
      from parent p
      join sized s on s.parent = p.oid
      join pg_class c on c.oid = s.top
      join pg_namespace n on n.oid = c.relnamespace
     group by p.oid, p.qualified, p.key, p.has_brin, c.oid, n.nspname`.execute(scene.session.db);
  return rows;
}

/** Reads the indexes of all partitioned tables, in a transaction: one query, whatever the number of leaves. */
export async function readIndexes(
  scene: Scene,
): Promise<readonly (PicturedIndex & { readonly table: string })[]> {
  const { rows } = await sql<PicturedIndex & { readonly table: string }>`
    with recursive ${relationTree(scene)},
    logical (top, oid) as (
      select x.indexrelid, x.indexrelid
        from relation r join pg_index x on x.indrelid = r.oid join pg_class c on c.oid = x.indexrelid
       where r.level = 0 and r.kind = 'p' and not c.relispartition
      union all
      select l.top, i.inhrelid from logical l join pg_inherits i on i.inhparent = l.oid
    )
    select r.qualified as table, c.relname::text as name, m.amname::text as method, t.indisunique as enforces,
           coalesce(sum(s.idx_scan), 0)::float8 as scans,
           case when not coalesce(bool_or(e.is_locked), false) then coalesce(sum(b.bytes), 0)::float8 end as bytes
      from logical l
      join pg_class c on c.oid = l.top
      join pg_am m on m.oid = c.relam
      join pg_index t on t.indexrelid = l.top
      join relation r on r.oid = t.indrelid
      join pg_index x on x.indexrelid = l.oid
      join relation e on e.oid = x.indrelid
      left join pg_stat_all_indexes s on s.indexrelid = l.oid
      cross join lateral (
        select case when e.is_leaf and not e.is_locked then pg_relation_size(l.oid) end as bytes
      ) b
     group by r.qualified, c.oid, c.relname, m.amname, t.indisunique
     order by bytes desc nulls last, name`.execute(scene.session.db);
  return rows;
}
