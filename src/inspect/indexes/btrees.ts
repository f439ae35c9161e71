import { sql } from 'kysely';
import type { Scene } from '../scene.ts';
import { indexTree } from './tree.ts';

/** A B-tree index that holds rows, of a table or a partition, and what is known of its size. */
export interface Btree {
  readonly oid: number;
  /** The logical index that it belongs to. */
  readonly rootIndex: string;
  readonly rootTable: string;
  readonly index: string;
  readonly bytes: number;
  readonly blockSize: number;
  /** Rows that it points to; null: nobody has counted lately. */
  readonly rows: number | null;
  readonly fillfactor: number;
  /** Its columns: a fixed width, or the average one as far as the role may see the statistics; null: it may not. */
  readonly columns: readonly {
    readonly width: number | null;
    readonly align: number;
    readonly isFixed: boolean;
  }[];
}

/**
 * Reads the B-tree indexes of at least so many bytes, as of the last VACUUM or ANALYZE, or by the rows that were inserted since.
 *
 * Rows are those of the cumulative statistics, or what VACUUM or ANALYZE counted for a partial index. They are null where the table was
 * never analyzed, or so much has changed since (a fifth; autovacuum analyzes after a tenth) that widths say nothing.
 */
export async function readBtrees(scene: Scene, leastBytes: number): Promise<readonly Btree[]> {
  const { rows } = await sql<Btree>`
    with recursive ${indexTree(scene, 'btree')},
    large as materialized (
      select b.root, b.oid, x.indrelid, x.indpred is not null as is_partial, i.reltuples, i.reloptions,
             pg_stat_get_live_tuples(x.indrelid) + pg_stat_get_dead_tuples(x.indrelid) as rows
        from branch b
        join pg_class i on i.oid = b.oid and i.relkind = 'i'
        join pg_index x on x.indexrelid = b.oid and x.indisvalid
       where x.indrelid <> all (${scene.locked}::oid[])
         -- Not even an index on one byte has smaller tuples than 16 bytes and their pointers of 4.
         and greatest(i.relpages::float8 * current_setting('block_size')::int,
                      20.0 * pg_stat_get_live_tuples(x.indrelid)) >= ${leastBytes}::float8
    )
    select l.oid, format('%I.%I', rn.nspname, r.relname) as "rootIndex", format('%I.%I', tn.nspname, rt.relname) as "rootTable",
           format('%I.%I', n.nspname, i.relname) as index, pg_relation_size(l.oid)::float8 as bytes,
           current_setting('block_size')::int as "blockSize",
           case when t.reltuples < 0 then null
                when pg_stat_get_mod_since_analyze(l.indrelid) > 1000 + 0.2 * greatest(t.reltuples, 0) then null
                when l.is_partial then greatest(l.reltuples, 0)
                when l.rows > 0 then l.rows else t.reltuples end::float8 as rows,
           coalesce((select substr(o, 12)::int from unnest(l.reloptions) o where o like 'fillfactor=%'), 90) as fillfactor,
           c.columns
      from large l
      join pg_class i on i.oid = l.oid join pg_namespace n on n.oid = i.relnamespace
      join pg_class r on r.oid = l.root join pg_namespace rn on rn.oid = r.relnamespace
      join pg_index rx on rx.indexrelid = l.root
      join pg_class rt on rt.oid = rx.indrelid join pg_namespace tn on tn.oid = rt.relnamespace
      join pg_class t on t.oid = l.indrelid join pg_namespace ln on ln.oid = t.relnamespace
      cross join lateral (
        select jsonb_agg(jsonb_build_object(
                 'isFixed', a.attlen > 0, 'width', case when a.attlen > 0 then a.attlen else s.avg_width end,
                 'align', case a.attalign when 'd' then 8 when 'i' then 4 when 's' then 2 else 1 end) order by a.attnum) as columns
          from pg_attribute a
          join pg_index x on x.indexrelid = a.attrelid
          left join pg_attribute o on o.attrelid = x.indrelid and o.attnum = x.indkey[a.attnum - 1] and o.attnum <> 0
          -- Of an expression the statistics stand with the index itself.
          left join pg_stats s on a.attlen < 0 and not s.inherited
           and s.schemaname = case when o.attnum is null then n.nspname else ln.nspname end
           and s.tablename = case when o.attnum is null then i.relname else t.relname end
           and s.attname = coalesce(o.attname, a.attname)
         where a.attrelid = l.oid
      ) c
     order by 2, 4`.execute(scene.session.db);
  return rows;
}

/** What pgstatindex measured of an index: how full its leaf pages are on average, those counted as empty that hold nothing any more. */
export interface Measured {
  readonly oid: number;
  readonly density: number;
}

/** Measures indexes by reading all their pages; for who may call pgstatindex. */
export async function measureBtrees(
  { session }: Scene,
  pgstattuple: string,
  oids: readonly number[],
): Promise<readonly Measured[]> {
  const { rows } = await sql<Measured>`
    select o.oid,
           coalesce(s.leaf_pages * nullif(s.avg_leaf_density, 'NaN') / nullif(s.leaf_pages + s.empty_pages + s.deleted_pages, 0), 100)
             ::float8 as density
      from unnest(${`{${oids.join()}}`}::oid[]) o (oid)
      cross join lateral ${sql.raw(pgstattuple)}.pgstatindex(o.oid::regclass) s`.execute(session.db);
  return rows;
}
