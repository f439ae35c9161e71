import { sql } from 'kysely';
import type { Session } from '../db/session.ts';

/** What a snapshot says of the leaves, and of the hours that are not to be compared. */
export interface State {
  /** How all leaves look: whoever attaches, detaches or truncates one changes it for good. */
  readonly digest: string;
  readonly unsettled: string;
  readonly retired: string;
}

/** The state as the slice before found it: working it out costs more than seeing that it is still the same. */
export interface Known {
  readonly version: string;
  readonly state: State;
}

/** Reads the state of a source; in a snapshot. `known` holds what was read last. */
export async function readState(session: Session, id: string, known: { last?: Known }): Promise<State> {
  const { rows } = await sql<{ version: string; digest: string }>`
    select ${digest(id)} as digest,
           (select md5(concat_ws(',', s.clean_until,
              (select string_agg(p::text, ',' order by p.id) from sensordb.aggregate_pending p where p.source_id = s.id),
              (select string_agg(r::text, ',' order by r.leaf_oid, r.lower_bound) from sensordb.aggregate_retired r where r.source_id = s.id),
              (select string_agg(concat_ws(' ', k.leaf_oid, k.xmin, k.ctid), ',' order by k.leaf_oid)
                 from sensordb.aggregate_leaf k where k.source_id = s.id)))
              from sensordb.aggregate_source s where s.id = ${id}::bigint) as version`.execute(session.db);
  const found = { version: `${rows[0]?.digest} ${rows[0]?.version}`, digest: rows[0]?.digest ?? '' };
  if (known.last?.version === found.version) return known.last.state;
  const { rows: ranges } = await sql<Omit<State, 'digest'>>`
    select sensordb.unsettled_ranges(${id}::bigint)::text as unsettled,
           sensordb.retired_ranges(${id}::bigint)::text as retired`.execute(session.db);
  const state = { digest: found.digest, unsettled: '{(,)}', retired: '{}', ...ranges[0] };
  known.last = { version: found.version, state };
  return state;
}

/** Reads how all leaves look; in a snapshot. */
export async function readDigest(session: Session, id: string): Promise<string> {
  const { rows } = await sql<{ digest: string }>`select ${digest(id)} as digest`.execute(session.db);
  return rows[0]?.digest ?? '';
}

/** The bounds need not be in it: a leaf that gets others is detached and attached, and its triggers are made anew. */
function digest(id: string) {
  return sql`(
    with recursive tree (root, oid) as (
      select i.inhrelid, i.inhrelid
        from sensordb.aggregate_source s join pg_inherits i on i.inhparent = s.readings and not i.inhdetachpending
       where s.id = ${id}::bigint
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    )
    select coalesce(md5(string_agg(concat_ws(' ', t.root, t.oid, c.relkind, c.relfilenode, m.marks), ',' order by t.root, t.oid)), '')
      from tree t
      join pg_class c on c.oid = t.oid
      left join (
        select g.tgrelid, string_agg(concat_ws(' ', g.oid, g.xmin, g.tgenabled), ',' order by g.oid) as marks
          from pg_trigger g
         where g.tgname in ('sensordb_change_insert', 'sensordb_change_update', 'sensordb_change_delete')
         group by g.tgrelid
      ) m on m.tgrelid = t.oid)`;
}
