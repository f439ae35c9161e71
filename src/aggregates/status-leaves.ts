import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { multirangeOf, type RangeRow } from './hour-ranges.ts';
import type { Source } from './source.ts';

/** A leaf with hours that are not clean: dropped or detached now, they would stay as they are. */
export interface HeldLeaf {
  readonly name: string;
  readonly lower: string;
  readonly upper: string;
  readonly reasons: readonly ('dirty' | 'pending' | 'changedLeaf' | 'open')[];
}

/** Lists the leaves with hours that are not clean, in the order of their bounds: one query that waits for no lock. */
export async function readHeldLeaves(
  session: Session,
  { table }: Source,
  ranges: readonly RangeRow[],
): Promise<readonly HeldLeaf[]> {
  const { rows } = await sql<HeldLeaf>`
    with source as materialized (
      select s.readings, ${multirangeOf(ranges, 'open')}::tstzmultirange as open,
             ${multirangeOf(ranges, 'pending')}::tstzmultirange as pending,
             ${multirangeOf(ranges, 'changedLeaf')}::tstzmultirange as changed,
             ${multirangeOf(ranges, 'retired')}::tstzmultirange as retired,
             -- The hours -infinity and infinity are single instants.
             coalesce((select range_agg(tstzrange(c.hour, c.hour + interval '59 minutes', '[]'))
                         from (select distinct k.hour from sensordb.aggregate_change k where k.source_id = s.id) c), '{}') as dirty
        from sensordb.aggregate_source s where s.readings = ${String(table.oid)}::oid
    ),
    leaf as materialized (
      select l.leaf_oid, l.lower_bound, l.upper_bound, l.is_default,
             sensordb.whole_hours(tstzmultirange(sensordb.span(l.lower_bound, l.upper_bound))) as hours
        from source s cross join lateral sensordb.aggregate_leaves(s.readings) l
    ),
    placed as (
      select l.leaf_oid, l.lower_bound, l.upper_bound, l.is_default,
             case when l.is_default
                  then '{(,)}' - coalesce((select range_agg(sensordb.span(o.lower_bound, o.upper_bound)) from leaf o where not o.is_default), '{}')
                  else l.hours end as hours
        from leaf l
    ),
    held as (
      select p.*, array_remove(array[
               case when p.hours && (s.dirty - s.retired) then 'dirty' end,
               case when p.hours && s.pending then 'pending' end,
               case when p.hours && s.changed then 'changedLeaf' end,
               case when p.hours && s.open then 'open' end], null) as reasons
        from placed p cross join source s
    )
    select c.relname::text as name, to_jsonb(h.reasons) as reasons,
           case when h.is_default then '-infinity' else h.lower_bound::text end as lower,
           case when h.is_default then 'infinity' else h.upper_bound::text end as upper
      from held h join pg_class c on c.oid = h.leaf_oid
     where h.reasons <> '{}'
     order by h.is_default, h.lower_bound, name`.execute(session.db);
  return rows;
}
