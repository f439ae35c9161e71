import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { describeHolder, type Holder } from '../db/blockers.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { Source } from './source.ts';

/** A transaction that writes readings, or has been prepared after it did. */
interface Writer extends Holder {
  readonly transaction: string;
}

/** How often it is looked whether the writers have ended, in milliseconds. */
const LOOK_MS = 20;

/**
 * Waits until every transaction has ended that was writing readings when it was called; gives those that have not in time.
 *
 * It is called after the gate was moved: what they wrote before that was judged by the old one, and stands in no log. Who
 * begins to write later is judged by the new one, whatever its snapshot. A writer holds ROW EXCLUSIVE on the table, or on the
 * leaf alone that it writes into; a prepared transaction stands in pg_locks with a null pid, so it goes by
 * virtualtransaction, which it keeps from before it was prepared (14 to 18).
 */
export async function waitForWriters(
  session: Session,
  source: Source,
  forMs: number,
): Promise<readonly string[]> {
  const end = performance.now() + forMs;
  let writing: readonly Writer[] | null = null;
  for (;;) {
    const now = await reading(session, () => readWriters(session, source));
    const before: readonly Writer[] = writing ?? now;
    writing = now.filter(({ transaction }) => before.some((one) => one.transaction === transaction));
    if (writing.length === 0) return [];
    if (performance.now() >= end) {
      return writing.map((writer) => describeHolder(writer, ` has written into ${source.table.qualified}`));
    }
    await sleep(LOOK_MS, undefined, { signal: session.signal });
  }
}

async function readWriters(session: Session, { table }: Source): Promise<readonly Writer[]> {
  const { rows } = await sql<Writer>`
    with recursive tree (oid) as (
      select ${String(table.oid)}::oid
      union all
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
    )
    select distinct on (l.virtualtransaction)
           l.virtualtransaction as transaction, l.pid,
           coalesce(a.usename, p.owner) as "user",
           nullif(a.application_name, '') as application,
           case when p.gid is null then a.state else 'prepared as ' || p.gid end as state,
           a.query,
           extract(epoch from now() - coalesce(a.xact_start, p.prepared))::float8 as "ageSeconds"
      from pg_locks l
      left join pg_stat_activity a on a.pid = l.pid
      left join pg_locks x
        on l.pid is null and x.pid is null and x.virtualtransaction = l.virtualtransaction
       and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
      left join pg_prepared_xacts p on p.transaction = x.transactionid
     where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
       and l.relation in (select t.oid from tree t)
       and l.pid is distinct from pg_backend_pid()
     order by l.virtualtransaction`.execute(session.db);
  return rows;
}
