import { sql } from 'kysely';
import { INDEX_SHAPE, type ShapeRow, shapeOf } from '../../partitions/index-shape.ts';
import type { Check, Found, Look } from '../check.ts';
import { indexTree } from '../indexes/tree.ts';
import { type LogicalRow, toLogical } from '../indexes/unused-logical.ts';
import { describeUnused } from '../indexes/unused-text.ts';
import type { Scene } from '../scene.ts';
import { statisticsSince } from '../statistics-age.ts';

const DAY_MS = 86_400_000;

/** Finds indexes that no scan has used, over all leaves. */
export const indexUnused: Check = {
  name: 'index_unused',
  area: 'indexes',
  finds: 'indexes that no query has scanned for a long time, over all partitions together',
  explanation: `Every insert writes into every index. One that no query reads costs that, room on the disk and in the cache, and time of VACUUM,
for nothing.

An index of a partitioned table is one index, however many partitions it has: it is used when it is scanned on any of them.
pg_stat_all_indexes shows the partitions alone, so the scans are added up. Indexes that only partitions have are taken together where
they index the same. From PostgreSQL 16 on the time of the last scan is known, too: then an index also counts as unused whose
last scan is long ago.

Never reported are indexes that do something else than being scanned: unique ones, those of constraints, replica identities, invalid
ones, and those that begin with the columns of a foreign key, which deletes of the referenced rows need.

It is judged only when the statistics are old enough; until then this check stands in notYet. It is wrong when the index was made
lately (PostgreSQL keeps no time of its making, unless track_commit_timestamp is on), when a standby scans it (each standby counts
for itself: run it there, too), when a report needs it once a quarter, or when it is an index on an expression whose statistics
help the planner without a scan. Dropping an index of a partitioned table takes ACCESS EXCLUSIVE on the table and all partitions.`,
  thresholds: {
    days: {
      value: 30,
      unit: 'days',
      source: 'A month has seen what runs monthly; pganalyze waits 35 days, most other tools not at all',
    },
    last_scan_days: {
      value: 100,
      unit: 'days',
      source: 'A quarter and some days: what was scanned once may well be for a quarterly report',
    },
    bytes: {
      value: 1_048_576,
      unit: 'bytes',
      source: 'As in Heroku’s pg-extras; PgHero and pgdoctor begin at 10 MB, pganalyze at 32 kB',
    },
    warning_bytes: {
      value: 104_857_600,
      unit: 'bytes',
      source: 'As in pgwatch; smaller ones are told as a note',
    },
  },
  opens: false,
  look,
};

async function look(scene: Scene): Promise<Look> {
  const rows = await readRows(scene);
  if (rows.some(({ counts }) => !counts)) return { found: [notCounted(scene)] };
  const isOld = (at: number | null, days: string): boolean =>
    at !== null && at <= scene.now.getTime() - scene.threshold(days) * DAY_MS;
  const large = toLogical(rows).filter(({ bytes }) => bytes >= scene.threshold('bytes'));
  const never = large.filter(({ scans, lastScan }) => scans === 0 && lastScan === null);
  const young = never.filter(({ since }) => !isOld(since, 'days'));
  const unused = large.filter((one) =>
    never.includes(one) ? !young.includes(one) : isOld(one.lastScan, 'last_scan_days'),
  );
  const found = unused.map((one) => describeUnused(one, scene.threshold('warning_bytes')));
  if (young.length === 0) return { found };
  const begun = Math.max(...young.map(({ since }) => since ?? scene.now.getTime()));
  return { found, ripeAt: new Date(begun + scene.threshold('days') * DAY_MS) };
}

function notCounted({ session }: Scene): Found {
  return {
    severity: 'unknown',
    object: session.server.database,
    message: 'Could not be checked. track_counts is off: nobody counts the scans of indexes.',
    evidence: { needs: 'track_counts = on' },
    fixes: [],
  };
}

async function readRows(scene: Scene): Promise<readonly LogicalRow[]> {
  const { session } = scene;
  const lastScan =
    session.server.versionNum >= 160_000 ? sql`pg_stat_get_lastscan(b.oid)` : sql`null::timestamptz`;
  const { rows } = await sql<Omit<LogicalRow, 'shape'> & ShapeRow>`
    with recursive ${indexTree(scene)},
    logical as materialized (
      select b.root, count(*)::int as leaves, sum(pg_stat_get_numscans(b.oid))::float8 as scans, max(${lastScan}) as last_scan,
             sum(greatest(i.relpages, 0))::float8 * current_setting('block_size')::int as bytes
        from branch b
        join pg_index x on x.indexrelid = b.root and x.indisvalid and not x.indisunique and not x.indisexclusion
        join pg_class i on i.oid = b.oid and i.relkind = 'i'
       group by b.root
    ),
    since as materialized (
      select ${statisticsSince(scene)} as statistics, current_setting('track_commit_timestamp')::bool as is_dated
    )
    select format('%I.%I', n.nspname, i.relname) as index, format('%I.%I', tn.nspname, t.relname) as "table",
           i.relkind = 'I' as "isPartitioned", t.relispartition as "isOfPartition", l.leaves, l.scans,
           extract(epoch from l.last_scan)::float8 * 1000 as "lastScan", l.bytes, current_setting('track_counts')::bool as counts, x.indexprs is not null as "hasExpressions",
           format('%I.%I', rn.nspname, r.relname) as "rootTable",
           extract(epoch from greatest(s.statistics, case when s.is_dated then pg_xact_commit_timestamp(i.xmin) end))::float8 * 1000
             as since,
           f.outline, f.expressions, f.predicate, f.layout
      from logical l
      cross join since s
      join pg_index x on x.indexrelid = l.root
      join pg_class i on i.oid = l.root join pg_namespace n on n.oid = i.relnamespace
      join pg_class t on t.oid = x.indrelid join pg_namespace tn on tn.oid = t.relnamespace
      join member m on m.oid = t.oid
      join pg_class r on r.oid = m.root join pg_namespace rn on rn.oid = r.relnamespace
      left join lateral (select ${INDEX_SHAPE} where t.relispartition) f on true
     where (t.relispartition or l.scans = 0 or l.last_scan is not null)
       and not exists (select from pg_constraint k
                        where k.conrelid = t.oid and k.contype = 'f'
                          and k.conkey <@ (x.indkey::int2[])[0:cardinality(k.conkey) - 1])
     order by 1`.execute(session.db);
  return rows.map((row) => ({ ...row, shape: row.isOfPartition ? shapeOf(row) : null }));
}
