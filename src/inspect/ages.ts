import { sql } from 'kysely';
import type { Scene } from './scene.ts';
import { relationTree } from './scope.ts';

/** How old the oldest rows of something are. */
export interface Age {
  /** The largest, as a multiple of what autovacuum lets it become. */
  readonly ratio: number;
  readonly xidAge: number;
  readonly mxidAge: number;
}

/** Tables that are too old: those of one tree, of the system's catalog, or of one session's temporary ones. */
export interface OldTables extends Age {
  readonly kind: 'tables' | 'catalog' | 'temporary';
  /** The table at the top, or the schema; as SQL spells it. */
  readonly object: string;
  readonly oldest: string;
  readonly names: readonly string[];
}

/** A database, and how old its oldest rows are by its own account. */
export interface DatabaseAge extends Age {
  /** As SQL spells it. */
  readonly name: string;
  readonly isOurs: boolean;
  /** Sessions may connect to it: not to template0. */
  readonly isOpen: boolean;
}

/** Reads which tables are older than so many times what autovacuum lets them become: all tables there are, or those of `--table`. */
export async function readOldTables(scene: Scene, leastRatio: number): Promise<readonly OldTables[]> {
  const isWanted = scene.table === null ? sql`true` : sql`r.oid is not null`;
  // Each TOAST table is aged apart. Only a session itself can vacuum its temporary tables; of the others no kind is exempt.
  const { rows } = await sql<OldTables>`
    with recursive ${relationTree(scene)},
    aged as materialized (
      select c.oid, c.relkind, age(c.relfrozenxid) as xid_age, mxid_age(c.relminmxid) as mxid_age,
             greatest(age(c.relfrozenxid) / current_setting('autovacuum_freeze_max_age')::float8,
                      mxid_age(c.relminmxid) / current_setting('autovacuum_multixact_freeze_max_age')::float8) as ratio
        from pg_class c where c.relkind in ('r', 'm', 't') and c.relfrozenxid <> '0'
    ),
    old as materialized (
      select coalesce(o.oid, a.oid) as oid, a.xid_age, a.mxid_age, a.ratio
        from aged a left join pg_class o on o.reltoastrelid = a.oid and a.relkind = 't'
       where a.ratio >= ${leastRatio}::float8
    ),
    named as (
      select case when c.relpersistence = 't' then 'temporary' when n.nspname in ('pg_catalog', 'information_schema') then 'catalog' else 'tables' end as kind,
             case when c.relpersistence = 't' then quote_ident(n.nspname)
                  when n.nspname in ('pg_catalog', 'information_schema') then 'pg_catalog'
                  else coalesce(r.root_qualified, format('%I.%I', n.nspname, c.relname)) end as object,
             format('%I.%I', n.nspname, c.relname) as qualified, o.xid_age, o.mxid_age, o.ratio
        from old o
        join pg_class c on c.oid = o.oid
        join pg_namespace n on n.oid = c.relnamespace
        left join relation r on r.oid = o.oid
       where ${isWanted}
    )
    select g.kind, g.object, (array_agg(g.qualified order by g.ratio desc, g.qualified))[1] as oldest,
           to_json(array_agg(distinct g.qualified)) as names, max(g.ratio) as ratio,
           max(g.xid_age)::float8 as "xidAge", max(g.mxid_age)::float8 as "mxidAge"
      from named g
     group by g.kind, g.object
     order by g.object`.execute(scene.session.db);
  return rows;
}

/** Reads how old the databases of the server are, which every role may see; the oldest first. */
export async function readDatabaseAges({ session }: Scene): Promise<readonly DatabaseAge[]> {
  const { rows } = await sql<DatabaseAge>`
    select quote_ident(d.datname) as name, d.datname = current_database() as "isOurs", d.datallowconn as "isOpen", age(d.datfrozenxid)::float8 as "xidAge",
           mxid_age(d.datminmxid)::float8 as "mxidAge",
           greatest(age(d.datfrozenxid) / current_setting('autovacuum_freeze_max_age')::float8,
                    mxid_age(d.datminmxid) / current_setting('autovacuum_multixact_freeze_max_age')::float8) as ratio
      from pg_database d
     order by ratio desc, d.datname`.execute(session.db);
  return rows;
}
