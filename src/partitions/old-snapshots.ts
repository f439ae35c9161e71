import { sql } from 'kysely';
import { describeHolder, type Holder } from '../db/blockers.ts';
import type { Session } from '../db/session.ts';

/**
 * Finds the session with the oldest snapshot of this database, if it is older than so many milliseconds.
 *
 * An idle transaction has one under REPEATABLE READ and SERIALIZABLE alone, a running statement always. Of other roles'
 * sessions only members of pg_read_all_stats see that; for the others there is none.
 */
export async function findOldSnapshot(session: Session, olderThanMs: number): Promise<Holder | null> {
  const { rows } = await sql<Holder>`
    select a.pid, a.usename::text as "user", nullif(a.application_name, '') as application, a.state, a.query,
           extract(epoch from clock_timestamp() - s.since)::float8 as "ageSeconds"
      from pg_stat_activity a
      cross join lateral (select case when a.state = 'active' then a.query_start else a.xact_start end as since) s
     where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
       and a.backend_type = 'client backend'
       and clock_timestamp() - s.since > ${`${olderThanMs} milliseconds`}::interval
     order by s.since limit 1`.execute(session.db);
  return rows[0] ?? null;
}

/** Says whose snapshot it is. */
export function describeOldSnapshot(holder: Holder): string {
  return describeHolder(holder, ' has an old snapshot');
}
