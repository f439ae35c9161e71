import { sql } from 'kysely';
import { describeHolder, type Holder } from '../db/blockers.ts';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';

/** What findings about such tables have for their check. */
export const LOCKED = 'locked';

/** A table that cannot be opened at the moment. */
export interface LockedTable {
  readonly oid: number;
  /** As SQL spells it. */
  readonly qualified: string;
  /** Who holds or awaits the lock. */
  readonly holder: string;
}

type LockedRow = Holder & { readonly oid: number; readonly qualified: string; readonly granted: boolean };

/**
 * Finds the tables in scope on which, or on whose indexes or TOAST, somebody else holds or awaits ACCESS EXCLUSIVE: one query,
 * which waits for no lock.
 *
 * Who only queues for it counts, too: whoever asks after them waits behind them.
 */
export async function readLocked(scene: Omit<Scene, 'locked'>): Promise<readonly LockedTable[]> {
  const { rows } = await sql<LockedRow>`
    with recursive ${memberTree({ ...scene, locked: '{}' })},
    held as materialized (
      select l.relation, l.pid, l.granted
        from pg_locks l
       where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid is distinct from pg_backend_pid()
         and l.database = (select d.oid from pg_database d where d.datname = current_database())
    ),
    blocked as (
      select h.relation as oid, h.pid, h.granted from held h
      union all
      select x.indrelid, h.pid, h.granted from held h join pg_index x on x.indexrelid = h.relation
      union all
      select c.oid, h.pid, h.granted from held h join pg_class c on c.reltoastrelid = h.relation
    )
    select distinct on (m.oid) m.oid, format('%I.%I', n.nspname, c.relname) as qualified, b.granted, b.pid,
           a.usename::text as "user", nullif(a.application_name, '') as application, a.state,
           a.query, extract(epoch from clock_timestamp() - a.xact_start)::float8 as "ageSeconds"
      from blocked b
      join member m on m.oid = b.oid
      join pg_class c on c.oid = m.oid
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_stat_activity a on a.pid = b.pid
     order by m.oid, b.granted desc, b.pid`.execute(scene.session.db);
  return rows.map(({ oid, qualified, granted, ...holder }) => ({
    oid,
    qualified,
    holder: describeHolder(holder, ` ${granted ? 'holds' : 'waits for'} ACCESS EXCLUSIVE`),
  }));
}
