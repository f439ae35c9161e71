import { sql } from 'kysely';
import type { Session } from '../db/session.ts';

/** What the role may see, and which of PostgreSQL's own extensions help it; probed before any check. */
export interface Capabilities {
  readonly isSuperuser: boolean;
  /** A member of pg_read_all_stats: sees what other roles' sessions do. */
  readonly seesAllStatistics: boolean;
  /** A member of pg_read_all_data: sees the statistics of all columns (pg_stats), and all rows. */
  readonly readsAllData: boolean;
  /** The schema, quoted where it must be, of an extension whose functions the role may call; null: not there, or not its to call. */
  readonly pageinspect: string | null;
  readonly pgstattuple: string | null;
  readonly pgStatStatements: string | null;
  /** Sensordb's own tables are there and may be read: `all`; there, but not to be read: `hidden`; `none`. */
  readonly ownTables: 'all' | 'hidden' | 'none';
  /** The database has a partitioned table at all, whoever's. */
  readonly hasPartitionedTables: boolean;
}

/** Probes what the role may see: one query, inside the caller's transaction. */
export async function readCapabilities(session: Session): Promise<Capabilities> {
  const { rows } = await sql<Capabilities>`
    with callable as (
      select e.extname, min(quote_ident(n.nspname)) as schema
        from pg_extension e
        join pg_depend d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
         and d.classid = 'pg_proc'::regclass
        join pg_proc p on p.oid = d.objid
        join pg_namespace n on n.oid = p.pronamespace
       where (e.extname, p.proname) in (('pageinspect', 'brin_metapage_info'), ('pgstattuple', 'pgstatindex'),
                                        ('pg_stat_statements', 'pg_stat_statements'))
         and has_function_privilege(p.oid, 'execute') and has_schema_privilege(n.oid, 'usage')
       group by 1
    ),
    own as (
      select n.oid from pg_namespace n where n.nspname = 'sensordb'
    )
    select r.rolsuper as "isSuperuser",
           pg_has_role('pg_read_all_stats', 'usage') as "seesAllStatistics",
           pg_has_role('pg_read_all_data', 'usage') as "readsAllData",
           -- raw pages are for superusers alone, whoever may call the functions (pageinspect's documentation).
           case when r.rolsuper then (select c.schema from callable c where c.extname = 'pageinspect') end as "pageinspect",
           (select c.schema from callable c where c.extname = 'pgstattuple') as "pgstattuple",
           (select c.schema from callable c where c.extname = 'pg_stat_statements') as "pgStatStatements",
           case when not exists (select from own) then 'none'
                when (select has_schema_privilege(o.oid, 'usage') from own o)
                     and not exists (select from pg_class c join own o on o.oid = c.relnamespace
                                      where c.relkind = 'r' and not has_table_privilege(c.oid, 'select')) then 'all'
                else 'hidden' end as "ownTables",
           exists (select from pg_partitioned_table) as "hasPartitionedTables"
      from pg_roles r where r.rolname = current_user`.execute(session.db);
  const [row] = rows;
  if (row === undefined) throw new Error('The server sent no row for the capabilities.');
  return row;
}
