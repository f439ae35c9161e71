import { sql } from 'kysely';
import { describeHolder, type Holder } from '../db/blockers.ts';
import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';

interface SnapshotHolder extends Holder {
  readonly pid: number;
  readonly xmin: string;
}

/** How often it is looked whether a snapshot whose age is hidden is gone, in milliseconds. */
const LOOK_MS = 10;

/**
 * Finds a session with an old snapshot of this database: older than the lock_timeout of one try.
 *
 * An idle transaction has one under REPEATABLE READ and SERIALIZABLE alone, a running statement always. backend_xmin
 * everybody sees; the ages of other roles' sessions only members of pg_read_all_stats (14 to 18). Of the others one is old
 * that is seen as long as that.
 */
export async function findOldSnapshot(session: Session, { budget }: RunOptions): Promise<Holder | null> {
  const end = performance.now() + budget.lockTimeoutMs;
  let seen: readonly SnapshotHolder[] | null = null;
  for (;;) {
    const holders = await reading(session, () => readSnapshots(session));
    const old = holders.find(({ ageSeconds }) => (ageSeconds ?? 0) * 1000 > budget.lockTimeoutMs);
    if (old !== undefined) return old;
    const hidden = holders.filter(({ ageSeconds }) => ageSeconds === null);
    const before: readonly SnapshotHolder[] = seen ?? hidden;
    seen = hidden.filter(({ pid, xmin }) => before.some((one) => one.pid === pid && one.xmin === xmin));
    const [first] = seen;
    if (first === undefined || performance.now() >= end) return first ?? null;
    await budget.pause(LOOK_MS, session.signal);
  }
}

/** In the order of their ages; the backend_type of hidden sessions is hidden as well, those of no role are workers. */
async function readSnapshots(session: Session): Promise<readonly SnapshotHolder[]> {
  const { rows } = await sql<SnapshotHolder>`
    select a.pid, a.usename::text as "user", nullif(a.application_name, '') as application, a.state,
           case when s.since is null then null else a.query end as query, a.backend_xmin::text as xmin,
           extract(epoch from clock_timestamp() - s.since)::float8 as "ageSeconds"
      from pg_stat_activity a
      cross join lateral (select case when a.state = 'active' then a.query_start else a.xact_start end as since) s
     where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
       and coalesce(a.backend_type, 'client backend') = 'client backend' and a.usesysid is not null
     order by s.since`.execute(session.db);
  return rows;
}

/** Says whose snapshot it is. */
export function describeOldSnapshot(holder: Holder): string {
  return describeHolder(holder, ' has an old snapshot');
}
