import { sql } from 'kysely';
import { type Instant, parseInstant } from '../../time/instant.ts';
import type { Scene } from '../scene.ts';
import { indexTree } from './tree.ts';

/** A BRIN index of a table or partition that fills one range of pages at least, or is large enough to. */
export interface Brin {
  readonly oid: number;
  /** The logical index that it belongs to. */
  readonly rootIndex: string;
  readonly rootTable: string;
  readonly index: string;
  readonly table: string;
  readonly blockSize: number;
  readonly heapPages: number;
  readonly pagesPerRange: number;
  readonly bytes: number;
  readonly autosummarize: boolean;
  readonly rowsPerPage: number | null;
  readonly insertedSinceVacuum: number;
  /** Rows inserted, changed and deleted since the last ANALYZE, and when that was; null: not since the statistics begin. */
  readonly changedSinceAnalyze: number;
  readonly analyzedAt: Instant | null;
  /** Pages that the table had then, or at the last VACUUM or CREATE INDEX. */
  readonly knownPages: number;
  /** The statistics know of a VACUUM of its table. */
  readonly isVacuumed: boolean;
  /** Its first column as SQL spells it; null: an expression. */
  readonly column: string | null;
  /** The operator class of that column keeps minimum and maximum. */
  readonly isMinmax: boolean;
  /** time or number; null: its values cannot be subtracted here. */
  readonly measure: 'time' | 'number' | null;
  /** A valid B-tree index of the table begins with the same column. */
  readonly hasBtree: boolean;
  /** How the order of rows on disk follows the column, of this table alone. */
  readonly correlation: number | null;
  /** The role may see the statistics of the column; it was analyzed ever. */
  readonly isVisible: boolean;
  readonly isAnalyzed: boolean;
}

/** Reads the BRIN indexes of tables that are not tiny; those of empty partitions cost nothing. */
export async function readBrins(scene: Scene): Promise<readonly Brin[]> {
  const { rows } = await sql<Omit<Brin, 'analyzedAt'> & { readonly analyzedAt: string | null }>`
    with recursive ${indexTree(scene, 'brin')},
    brin as materialized (
      select b.root, b.oid, x.indrelid, x.indkey[0] as attnum, x.indclass[0] as opclass, i.reloptions,
             coalesce((select substr(o, 17)::int from unnest(i.reloptions) o where o like 'pages_per_range=%'), 128) as ppr
        from branch b
        join pg_class i on i.oid = b.oid and i.relkind = 'i'
        join pg_index x on x.indexrelid = b.oid and x.indisvalid
        join pg_class t on t.oid = x.indrelid
       where x.indrelid <> all (${scene.locked}::oid[])
         and (t.relpages > 0 or pg_stat_get_live_tuples(t.oid) > 0 or pg_stat_get_ins_since_vacuum(t.oid) > 0)
    ),
    sized as materialized (
      select b.*, pg_relation_size(b.indrelid) / current_setting('block_size')::int as pages from brin b
    )
    select s.oid, format('%I.%I', rn.nspname, r.relname) as "rootIndex", format('%I.%I', rtn.nspname, rt.relname) as "rootTable",
           format('%I.%I', n.nspname, i.relname) as index, format('%I.%I', tn.nspname, t.relname) as "table",
           current_setting('block_size')::int as "blockSize", s.pages::float8 as "heapPages", s.ppr as "pagesPerRange",
           pg_relation_size(s.oid)::float8 as bytes,
           exists (select from unnest(s.reloptions) o where o ~ '^autosummarize=(on|true|yes|1)$') as autosummarize,
           (coalesce(nullif(greatest(t.reltuples, 0) / nullif(t.relpages, 0), 0), pg_stat_get_live_tuples(t.oid) / nullif(s.pages, 0)::float8))::float8
             as "rowsPerPage",
           pg_stat_get_ins_since_vacuum(t.oid)::float8 as "insertedSinceVacuum",
           pg_stat_get_mod_since_analyze(t.oid)::float8 as "changedSinceAnalyze",
           greatest(pg_stat_get_last_analyze_time(t.oid), pg_stat_get_last_autoanalyze_time(t.oid))::text as "analyzedAt",
           t.relpages::float8 as "knownPages",
           coalesce(pg_stat_get_last_vacuum_time(t.oid), pg_stat_get_last_autovacuum_time(t.oid)) is not null as "isVacuumed",
           quote_ident(a.attname) as "column",
           oc.opcname ~ '_minmax_ops$' as "isMinmax",
           case when ia.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype) then 'time'
                when ia.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'float8'::regtype) then 'number'
                end as measure,
           exists (select from pg_index o join pg_class oi on oi.oid = o.indexrelid join pg_am am on am.oid = oi.relam and am.amname = 'btree'
                    where o.indrelid = t.oid and o.indisvalid and o.indpred is null and o.indkey[0] = s.attnum and s.attnum <> 0) as "hasBtree",
           st.correlation::float8 as correlation,
           case when s.attnum = 0 then has_table_privilege(t.oid, 'select')
                else has_column_privilege(t.oid, s.attnum, 'select') end and not row_security_active(t.oid) as "isVisible",
           t.reltuples >= 0 as "isAnalyzed"
      from sized s
      join pg_class i on i.oid = s.oid join pg_namespace n on n.oid = i.relnamespace
      join pg_class t on t.oid = s.indrelid join pg_namespace tn on tn.oid = t.relnamespace
      join pg_class r on r.oid = s.root join pg_namespace rn on rn.oid = r.relnamespace
      join pg_index rx on rx.indexrelid = s.root
      join pg_class rt on rt.oid = rx.indrelid join pg_namespace rtn on rtn.oid = rt.relnamespace
      join pg_opclass oc on oc.oid = s.opclass
      join pg_attribute ia on ia.attrelid = s.oid and ia.attnum = 1
      left join pg_attribute a on a.attrelid = s.indrelid and a.attnum = s.attnum and s.attnum <> 0
      left join pg_stats st on not st.inherited
       and st.schemaname = case when s.attnum = 0 then n.nspname else tn.nspname end
       and st.tablename = case when s.attnum = 0 then i.relname else t.relname end
       and st.attname = coalesce(a.attname, ia.attname)
     -- 2,048 pages are 16 MB: such a table should have several ranges.
     where s.pages >= least(s.ppr, 2048)
     order by 2, 4`.execute(scene.session.db);
  return rows.map(({ analyzedAt, ...row }) => ({
    ...row,
    analyzedAt: analyzedAt === null ? null : parseInstant(analyzedAt),
  }));
}
