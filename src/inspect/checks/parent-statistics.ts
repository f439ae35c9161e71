import { sql } from 'kysely';
import { formatInstant, fromDate, parseInstant } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import { sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

const DAY_MS = 86_400_000;

/** Finds partitioned tables whose own statistics were never gathered, or long ago. */
export const parentStatistics: Check = {
  name: 'parent_statistics',
  area: 'tables',
  finds: 'partitioned tables whose own statistics were never gathered, or no longer fit',
  explanation: `Autovacuum analyzes partitions, never the partitioned table itself. Yet a query that reads several partitions is planned by
the statistics of the table: without them, joins and groups over it are planned by default guesses, however fresh the
statistics of each partition are.

reltuples of the table is -1 until the first ANALYZE of it (PostgreSQL 14 and later), which no reset of the statistics and no
crash undoes. Later on it is compared with the sum over the partitions, which autovacuum keeps up to date; where the time of
the last ANALYZE is known, an old one is reported, too, once enough of the rows have been analyzed anew in the partitions.
Partitions that were never vacuumed nor analyzed count by the rows that were written, as far as statistics remember.

Run it from cron after loads and about once a month. Up to 17 ANALYZE of the table analyzes its partitions, too.`,
  thresholds: {
    minimum_rows: {
      value: 10_000,
      unit: 'rows',
      source: 'below that a plan by guesses is hardly worse than a good one',
    },
    drift_percent: {
      value: 20,
      unit: 'percent',
      source:
        'twice the default autovacuum_analyze_scale_factor, by which a plain table would have been analyzed',
    },
    age_days: {
      value: 30,
      unit: 'days',
      source: 'a month, in which most time-partitioned tables get a partition',
    },
  },
  opens: false,
  look: async (scene) => ({ found: (await read(scene)).flatMap((row) => judge(scene, row) ?? []) }),
};

interface Row {
  readonly table: string;
  readonly known: number;
  readonly rows: number;
  /** In partitions that were analyzed after the table. */
  readonly since: number;
  readonly analyzedAt: string | null;
  /** No partition was vacuumed or analyzed after the table. */
  readonly isLast: boolean;
}

async function read(scene: Scene): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    root as materialized (
      select r.oid, r.qualified, c.reltuples::float8 as known,
             greatest(pg_stat_get_last_analyze_time(r.oid), pg_stat_get_last_autoanalyze_time(r.oid)) as analyzed_at
        from relation r join pg_class c on c.oid = r.oid
       where r.level = 0 and r.kind = 'p'
    ),
    leaf as materialized (
      select r.root, case when c.reltuples >= 0 then c.reltuples::float8
                          else pg_stat_get_live_tuples(r.oid)::float8 end as rows,
             pg_stat_get_last_analyze_time(r.oid) as analyzed_at, pg_stat_get_last_autoanalyze_time(r.oid) as autoanalyzed_at,
             greatest(pg_stat_get_last_vacuum_time(r.oid), pg_stat_get_last_autovacuum_time(r.oid)) as vacuumed_at
        from relation r join pg_class c on c.oid = r.oid
       where r.level > 0 and r.is_leaf
    )
    select t.qualified as table, t.known, sum(l.rows) as rows,
           -- ANALYZE of the table goes on with its partitions, for as long as that takes.
           coalesce(sum(l.rows) filter (where l.autoanalyzed_at > t.analyzed_at
                                           or l.analyzed_at > t.analyzed_at + interval '1 day'), 0) as since,
           t.analyzed_at::text as "analyzedAt",
           coalesce(t.analyzed_at >= max(greatest(l.analyzed_at, l.autoanalyzed_at, l.vacuumed_at)), false) as "isLast"
      from root t join leaf l on l.root = t.oid
     group by t.qualified, t.known, t.analyzed_at
     order by t.qualified`.execute(scene.session.db);
  return rows;
}

function judge(scene: Scene, row: Row): Found | null {
  const { table, known, rows, since, analyzedAt, isLast } = row;
  const drift = known > 0 ? Math.round((100 * Math.abs(rows - known)) / known) : null;
  const analyzed = analyzedAt === null ? null : parseInstant(analyzedAt);
  const ageDays = analyzed === null ? null : Number(fromDate(scene.now) - analyzed) / 1000 / DAY_MS;
  const why = reasonOf(scene, row, drift, ageDays);
  if (why === null) return null;
  const only = scene.session.server.versionNum >= 180_000 ? 'only ' : '';
  return {
    severity: 'warning',
    object: table,
    message: why,
    evidence: {
      rowsOfTable: known < 0 ? null : Math.round(known),
      rowsOfPartitions: Math.round(rows),
      driftPercent: isLast ? null : drift,
      analyzedAt: analyzed === null ? null : formatInstant(analyzed),
      rowsAnalyzedSince: Math.round(since),
    },
    fixes: [sqlFix('analyze', `analyze ${only}${table}`)],
  };
}

function reasonOf(
  scene: Scene,
  { table, known, rows, since, isLast }: Row,
  drift: number | null,
  ageDays: number | null,
): string | null {
  const limit = scene.threshold('drift_percent');
  if (Math.max(rows, known) < scene.threshold('minimum_rows')) return null;
  if (known < 0) {
    return `${table} itself was never analyzed, and autovacuum never does it: queries over its partitions are planned by guesses.`;
  }
  if (!isLast && (drift === null || drift >= limit)) {
    return `The statistics of ${table} are of ${Math.round(known)} rows, and its partitions have ${Math.round(rows)}: autovacuum never analyzes the table itself.`;
  }
  if (ageDays === null || ageDays < scene.threshold('age_days') || (100 * since) / rows < limit) return null;
  return `${table} itself was last analyzed ${Math.floor(ageDays)} days ago, before partitions with ${Math.round(since)} of its ${Math.round(rows)} rows were.`;
}
