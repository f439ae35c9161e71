import { sql } from 'kysely';
import { type Instant, parseInstant } from '../time/instant.ts';
import type { Scene } from './scene.ts';
import { relationTree } from './scope.ts';
import type { VacuumFacts, VacuumScene } from './vacuum-facts.ts';

/** Tables with fewer rows to do something about, fewer pages, and nothing set on them, are not worth being sent. */
const LEAST_ROWS = 1000;
const LEAST_PAGES = 100;

type Row = Omit<VacuumFacts, 'vacuumedAt' | 'analyzedAt'> & {
  readonly vacuumedAt: string | null;
  readonly analyzedAt: string | null;
};

/** Reads what autovacuum has done and left undone: two queries, once a run. */
export async function readVacuumScene(scene: Scene): Promise<VacuumScene> {
  return await scene.once('vacuum', async () => {
    const { rows } = await sql<{ statsReset: string | null; settingsOff: readonly string[] }>`
      select pg_stat_get_db_stat_reset_time(d.oid)::text as "statsReset",
             to_json(array(select s.name from unnest(array['autovacuum', 'track_counts']) s (name)
                            where current_setting(s.name) = 'off')) as "settingsOff"
        from pg_database d where d.datname = current_database()`.execute(scene.session.db);
    const [whole] = rows;
    const tables = await readFacts(scene);
    return {
      tables: tables.map(({ vacuumedAt, analyzedAt, ...row }) => ({
        ...row,
        vacuumedAt: instantOf(vacuumedAt),
        analyzedAt: instantOf(analyzedAt),
      })),
      statsReset: instantOf(whole?.statsReset ?? null),
      settingsOff: whole?.settingsOff ?? [],
    };
  });
}

function instantOf(text: string | null): Instant | null {
  return text === null ? null : parseInstant(text);
}

async function readFacts(scene: Scene): Promise<readonly Row[]> {
  // As relation_needs_vacanalyze counts, but for the share of frozen pages that 18 takes off the threshold of inserts.
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    setting as materialized (
      select current_setting('autovacuum_vacuum_threshold')::float8 as base,
             current_setting('autovacuum_vacuum_scale_factor')::float8 as scale,
             current_setting('autovacuum_vacuum_insert_threshold')::float8 as insert_base,
             current_setting('autovacuum_vacuum_insert_scale_factor')::float8 as insert_scale,
             coalesce(current_setting('autovacuum_vacuum_max_threshold', true)::float8, -1) as most
    ),
    heap as materialized (
      select r.oid, r.qualified, r.root_qualified, r.level > 0 as is_partition, c.reltoastrelid, c.relpages, c.relallvisible,
             greatest(c.reltuples, 0)::float8 as tuples, c.reloptions,
             pg_stat_get_live_tuples(r.oid) as live, pg_stat_get_dead_tuples(r.oid) as dead,
             pg_stat_get_ins_since_vacuum(r.oid) as inserted, pg_stat_get_mod_since_analyze(r.oid) as changed,
             greatest(pg_stat_get_last_analyze_time(r.oid), pg_stat_get_last_autoanalyze_time(r.oid)) as analyzed_at,
             greatest(pg_stat_get_last_vacuum_time(r.oid), pg_stat_get_last_autovacuum_time(r.oid)) as vacuumed_at
        from relation r join pg_class c on c.oid = r.oid and c.relkind = 'r'
    ),
    option as materialized (
      select c.oid, o.option_name as name, o.option_value as value
        from heap c cross join lateral pg_options_to_table(c.reloptions) o where c.reloptions is not null
    ),
    chosen as materialized (
      select o.oid,
             max(o.value) filter (where o.name = 'autovacuum_enabled')::bool as enabled,
             max(o.value) filter (where o.name = 'autovacuum_vacuum_threshold')::float8 as base,
             max(o.value) filter (where o.name = 'autovacuum_vacuum_scale_factor')::float8 as scale,
             max(o.value) filter (where o.name = 'autovacuum_vacuum_insert_threshold')::float8 as insert_base,
             max(o.value) filter (where o.name = 'autovacuum_vacuum_insert_scale_factor')::float8 as insert_scale,
             max(o.value) filter (where o.name = 'autovacuum_vacuum_max_threshold')::float8 as most
        from option o group by o.oid
    ),
    toast_off as materialized (
      select t.oid from pg_class t cross join lateral pg_options_to_table(t.reloptions) o
       where t.relkind = 't' and t.reloptions is not null and o.option_name = 'autovacuum_enabled' and not o.option_value::bool
    ),
    facts as materialized (
      select h.*, h.tuples >= ${LEAST_ROWS} and h.live + h.dead < h.tuples / 10
                  and coalesce(h.vacuumed_at, h.analyzed_at) is null as is_forgotten,
             coalesce(c.enabled, true) as enabled, f.oid is not null as toast_disabled,
             coalesce(c.base, s.base) + coalesce(c.scale, s.scale) * h.tuples as raw_limit, coalesce(c.most, s.most) as most,
             case when coalesce(c.insert_base, s.insert_base) >= 0
                  then coalesce(c.insert_base, s.insert_base) + coalesce(c.insert_scale, s.insert_scale) * h.tuples end as insert_limit
        from heap h cross join setting s
        left join chosen c on c.oid = h.oid
        left join toast_off f on f.oid = h.reltoastrelid
    )
    select f.oid, f.qualified, f.root_qualified as root, f.is_partition as "isPartition", f.live::float8 as live,
           f.dead::float8 as dead, f.inserted::float8 as "insertedSince",
           case when f.most >= 0 then least(f.raw_limit, f.most) else f.raw_limit end as "vacuumAt",
           f.insert_limit as "insertAt", not f.enabled as "isDisabled", f.toast_disabled as "isToastDisabled",
           f.relpages as pages, f.relallvisible as "visiblePages", f.vacuumed_at::text as "vacuumedAt",
           f.analyzed_at::text as "analyzedAt", f.changed::float8 as "changedSince",
           exists (select from pg_stat_progress_vacuum p
                    where p.relid = f.oid and p.datname = current_database()) as "isBeingVacuumed",
           f.is_forgotten as "isForgotten"
      from facts f
     where not f.enabled or f.toast_disabled or f.is_forgotten or f.dead >= ${LEAST_ROWS} or f.inserted >= ${LEAST_ROWS}
        or f.relpages >= ${LEAST_PAGES} and f.relallvisible < f.relpages
     order by f.qualified`.execute(scene.session.db);
  return rows;
}
