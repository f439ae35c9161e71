import { sql } from 'kysely';
import { failure } from '../cli/errors.ts';
import { describeHolder } from '../db/blockers.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { BackfillRequest } from './backfill-request.ts';
import type { Source } from './source.ts';

interface Load {
  /** Of the replica that lags most, in seconds; null: there is none, or none that lags. */
  readonly lagSeconds: number | null;
  /** How far the replica has got that is furthest behind, in bytes of WAL; null: there is none. */
  readonly replayed: number | null;
  /** There are replicas whose lag this role may not see. */
  readonly lagHidden: boolean;
  /** Bytes of WAL since the server was made. */
  readonly wal: number;
  /** An autovacuum of the tables that prevents wraparound. */
  readonly vacuumPid: number | null;
}

/**
 * Makes the function that says why a backfill should wait: a replica that lags, too much WAL, or an autovacuum that prevents
 * wraparound, which must not be kept from its work.
 */
export function createThrottle(
  source: Source,
  { maxLagSeconds, maxWalRate }: Pick<BackfillRequest, 'maxLagSeconds' | 'maxWalRate'>,
  clock: () => number = () => performance.now(),
): (session: Session) => Promise<string | null> {
  let first: Look | null = null;
  let looks: readonly Look[] = [];
  return async (session) => {
    const load = await reading(session, () => readLoad(session, source));
    const latest = { wal: load.wal, at: clock() };
    first ??= latest;
    // What every replica has is asked about no more.
    looks = [...looks.filter(({ wal }) => load.replayed !== null && wal > load.replayed), latest];
    if (load.vacuumPid !== null) return describeVacuum(load.vacuumPid, source);
    if (maxLagSeconds !== null) {
      if (load.lagHidden) throw lagHidden(session);
      const seconds = secondsBehind(looks, load, latest === first);
      if (seconds > maxLagSeconds) return `a replica lags ${Math.round(seconds)} s`;
    }
    if (maxWalRate === null) return null;
    const [seconds, wal] = [(clock() - first.at) / 1000, load.wal - first.wal];
    if (wal <= maxWalRate * seconds) return null;
    return `${Math.round(wal / 1024)} kB of WAL in ${Math.round(seconds)} s`;
  };
}

/** A point in time and the server's WAL then, in bytes. */
interface Look {
  readonly wal: number;
  readonly at: number;
}

/**
 * Says how far the slowest replica is behind, in seconds.
 *
 * One that stands still reports no lag, only its place; one that has caught up reports its last lag for another ten seconds
 * (14 to 18). So the place decides whether it is behind: whether it has what was written at an earlier look.
 */
function secondsBehind(looks: readonly Look[], { replayed, lagSeconds }: Load, isFirst: boolean): number {
  const latest = looks.at(-1);
  const passed = looks.find(({ wal }) => replayed !== null && wal > replayed);
  if (passed === undefined || latest === undefined) return 0;
  if (passed === latest && !isFirst) return 0;
  return Math.max((latest.at - passed.at) / 1000, lagSeconds ?? 0);
}

function describeVacuum(pid: number, { table }: Source): string {
  const vacuum = { pid, user: null, application: null, state: 'autovacuum', query: null, ageSeconds: null };
  return describeHolder(vacuum, ` prevents wraparound on ${table.qualified} or its aggregates`);
}

async function readLoad(session: Session, { table, aggregatesQualified }: Source): Promise<Load> {
  // The lags and queries of others are shown to members of pg_monitor; that a vacuum is at work, and by its lock on which table, to
  // everybody (14 to 18). On a table that is older than autovacuum lets it become (autovacuum_freeze_max_age, its own or the
  // server's), it is one that prevents wraparound.
  const { rows } = await sql<Load>`
    with recursive tree (oid) as (
      select ${String(table.oid)}::oid
      union all
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
    ),
    old as (
      select c.oid
        from (select t.oid from tree t union all select ${aggregatesQualified}::regclass::oid) m
        join pg_class c on c.oid = m.oid and c.relfrozenxid <> '0'
        left join lateral pg_options_to_table(c.reloptions) o on o.option_name = 'autovacuum_freeze_max_age'
       where age(c.relfrozenxid) >= least(o.option_value::int, current_setting('autovacuum_freeze_max_age')::int)
    )
    select (select max(extract(epoch from greatest(r.write_lag, r.flush_lag, r.replay_lag)))::float8
              from pg_stat_replication r) as "lagSeconds",
           (select min(pg_wal_lsn_diff(r.replay_lsn, '0/0'))::float8 from pg_stat_replication r) as replayed,
           exists (select from pg_stat_replication r where r.state is null) as "lagHidden",
           pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal,
           (select v.pid from pg_stat_progress_vacuum v
             join pg_locks l on l.pid = v.pid and l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock'
             join old o on o.oid = l.relation
             where v.datname = current_database()
             limit 1) as "vacuumPid"`.execute(session.db);
  return rows[0] as Load;
}

function lagHidden({ server }: Session): Error {
  return failure('lag_hidden', `Role ${server.user} may not see how far the replicas lag.`, {
    object: 'pg_stat_replication',
    hint: `Have a superuser run GRANT pg_monitor TO ${server.user}, or leave --max-lag out.`,
  });
}
