import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import type { Source } from './source.ts';

/** A trigger that should log the changes of the table or of one of its partitions, and does not in every session. */
export interface MemberTrigger {
  readonly schema: string;
  readonly name: string;
  /** It is the table itself, whose triggers new leaves take over. */
  readonly isTable: boolean;
  readonly isForeign: boolean;
  /** Null for a foreign table whose triggers are as they should be. */
  readonly trigger: string | null;
  /** `replica` fires in sessions of session_replication_role replica alone, `origin` in all others. */
  readonly state: 'missing' | 'disabled' | 'replica' | 'origin' | null;
}

/** Lists the triggers that are not as they should be, and the partitions that are foreign tables: one query, which waits for no lock. */
export async function readTroubledTriggers(
  session: Session,
  { table }: Source,
): Promise<readonly MemberTrigger[]> {
  const { rows } = await sql<MemberTrigger>`
    with recursive tree (oid) as (
      select ${String(table.oid)}::oid
      union all
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid and not i.inhdetachpending
    ),
    member as (
      select t.oid, n.nspname, c.relname, c.relkind
        from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
    ),
    expected as (
      select m.*, e.name as trigger,
             case coalesce(g.tgenabled, '-') when 'A' then null when 'D' then 'disabled' when 'R' then 'replica'
                  when 'O' then 'origin' else 'missing' end as state
        from member m
        cross join (values ('sensordb_change_insert'), ('sensordb_change_update'), ('sensordb_change_delete')) e (name)
        left join pg_trigger g
          on g.tgrelid = m.oid and g.tgname = e.name and g.tgfoid = to_regproc('sensordb.log_change')
    )
    select e.nspname::text as schema, e.relname::text as name, e.oid = ${String(table.oid)}::oid as "isTable",
           e.relkind = 'f' as "isForeign", e.trigger, e.state
      from expected e where e.state is not null
     union all
    select m.nspname::text, m.relname::text, false, true, null, null from member m where m.relkind = 'f'
     order by "isTable" desc, schema, name, trigger`.execute(session.db);
  return rows;
}
