import { sql } from 'kysely';
import type { Scene } from '../scene.ts';
import type { Brin } from './brins.ts';

/** What pageinspect says of a BRIN index. */
export interface BrinContents {
  readonly oid: number;
  /** Ranges that are summarized. */
  readonly summarized: number;
  /** Ranges up to the last one that is. */
  readonly until: number;
}

/** Counts the ranges that are summarized, from the pages of the indexes; for superusers with pageinspect. */
export async function readSummarized(
  { session }: Scene,
  pageinspect: string,
  brins: readonly Brin[],
): Promise<readonly BrinContents[]> {
  const schema = sql.raw(pageinspect);
  const { rows } = await sql<BrinContents>`
    select o.oid, count(*) filter (where d.pages <> '(0,0)')::int as summarized,
           coalesce(max(d.place + d.places * (d.block - 1)) filter (where d.pages <> '(0,0)'), 0)::int as until
      from unnest(${oidsOf(brins)}::oid[]) o (oid)
      join pg_class i on i.oid = o.oid join pg_namespace n on n.oid = i.relnamespace
      cross join lateral ${schema}.brin_metapage_info(${schema}.get_raw_page(format('%I.%I', n.nspname, i.relname), 0)) m
      cross join lateral generate_series(1, m.lastrevmappage) block
      -- Each page has as many places, whether they are taken or not.
      cross join lateral (
        select r.pages, r.place, count(*) over () as places, block
          from ${schema}.brin_revmap_data(${schema}.get_raw_page(format('%I.%I', n.nspname, i.relname), block)) with ordinality r (pages, place)
      ) d
     group by o.oid`.execute(session.db);
  return rows;
}

/** How far the ranges of a BRIN index overlap. */
export interface Overlap {
  readonly oid: number;
  readonly ranges: number;
  /** Of those, how many an instant lies in, on average. */
  readonly matched: number;
}

/** Measures how many ranges a value is looked for in, from minimum and maximum of each; for superusers with pageinspect. */
export async function readOverlaps(
  { session }: Scene,
  pageinspect: string,
  brins: readonly Brin[],
): Promise<readonly Overlap[]> {
  const schema = sql.raw(pageinspect);
  const times = brins.filter(({ measure }) => measure === 'time');
  const { rows } = await sql<Overlap>`
    with page as materialized (
      select i.oid, ${schema}.get_raw_page(format('%I.%I', n.nspname, i.relname), block) as content
        from pg_class i
        join pg_namespace n on n.oid = i.relnamespace
        cross join lateral generate_series(1, pg_relation_size(i.oid) / current_setting('block_size')::int - 1) block
       where i.oid = any (${oidsOf(brins)}::oid[])
    ),
    regular as materialized (
      select p.* from page p where ${schema}.brin_page_type(p.content) = 'regular'
    ),
    item as materialized (
      select r.oid, regexp_match(d.value, '^\\{(.*) \\.\\. (.*)\\}$') as ends, r.oid = any (${oidsOf(times)}::oid[]) as is_time
        from regular r
        cross join lateral ${schema}.brin_page_items(r.content, r.oid::regclass) d
       where d.attnum = 1 and not d.allnulls and not d.placeholder and d.value !~ 'infinity|NaN'
    ),
    range as materialized (
      select i.oid,
             case when i.is_time then extract(epoch from i.ends[1]::timestamptz) else i.ends[1]::numeric end::float8 as low,
             case when i.is_time then extract(epoch from i.ends[2]::timestamptz) else i.ends[2]::numeric end::float8 as high
        from item i where i.ends is not null
    )
    select r.oid, count(*)::int as ranges, sum(r.high - r.low) / (max(r.high) - min(r.low)) as matched
      from range r
     group by r.oid
    having max(r.high) > min(r.low)`.execute(session.db);
  return rows;
}

function oidsOf(brins: readonly Brin[]): string {
  return `{${brins.map(({ oid }) => oid).join()}}`;
}
