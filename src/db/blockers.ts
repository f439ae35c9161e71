import { sql } from 'kysely';
import type { Queries } from './kysely.ts';
import { conflictingModes } from './lock-modes.ts';
import { maskSecrets } from './secrets.ts';
import type { StepLock } from './step.ts';
import type { Database } from './tables.ts';

/** A session or prepared transaction that others wait for. */
export interface Holder {
  /** Null for a prepared transaction, which has no session. */
  readonly pid: number | null;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly query: string | null;
  /** Age of its transaction in seconds. */
  readonly ageSeconds: number | null;
}

/** A session or prepared transaction that holds, or queues for, a lock in the way of one of ours. */
export interface Blocker extends Holder {
  /** Which transaction holds or awaits it: visible to every role, unlike its age. */
  readonly transaction: string;
  readonly relation: string;
  /** As pg_locks spells it. */
  readonly mode: string;
  readonly granted: boolean;
}

/**
 * Finds who is in the way of the given locks right now; waits for no lock itself.
 *
 * It counts those who only queue, too: whoever asks after them waits behind them.
 */
export async function findBlockers(
  db: Queries<Database>,
  locks: readonly StepLock[],
): Promise<readonly Blocker[]> {
  if (locks.length === 0) return [];
  const wanted = JSON.stringify(
    locks.map(({ relation, mode }) => ({ relation, modes: conflictingModes(mode) })),
  );
  // now() stands still in a transaction of ours that looks more than once: by it nobody in the way would grow older.
  // A prepared transaction stands in pg_locks with a null pid, and with the virtual transaction that it had, or after a
  // restart -1/xid (14 to 18): what leads to its name is the lock that it holds on its own transaction.
  const { rows } = await sql<Blocker>`
    select distinct on (l.virtualtransaction)
           l.pid,
           l.virtualtransaction as transaction,
           coalesce(a.usename, p.owner) as "user",
           nullif(a.application_name, '') as application,
           case when p.gid is null then a.state else 'prepared as ' || p.gid end as state,
           case when a.backend_type = 'autovacuum worker' then coalesce(nullif(a.query, ''), 'autovacuum')
                else a.query end as query,
           extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 as "ageSeconds",
           w.relation,
           l.mode,
           l.granted
      from jsonb_to_recordset(${wanted}::jsonb) as w (relation text, modes jsonb)
      join pg_locks l
        on l.locktype = 'relation'
       and l.relation = to_regclass(w.relation)::oid
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
       and w.modes ? l.mode
      left join pg_stat_activity a on a.pid = l.pid
      left join pg_locks x
        on l.pid is null and x.pid is null and x.virtualtransaction = l.virtualtransaction
       and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
      left join pg_prepared_xacts p on p.transaction = x.transactionid
     where l.pid is distinct from pg_backend_pid()
     order by l.virtualtransaction, l.granted desc, l.mode`.execute(db);
  return rows;
}

/** Says who a blocker is in one line: pid, user, application, state, age and query. */
export function describeBlocker(blocker: Blocker): string {
  const verb = blocker.granted ? 'holds' : 'waits for';
  return describeHolder(blocker, ` ${verb} ${blocker.mode} on ${blocker.relation}`);
}

const LONGEST_QUERY = 200;

/** Says who a session or prepared transaction is, what it does, and its query. */
export function describeHolder(holder: Holder, does: string): string {
  const who = holder.pid === null ? 'a prepared transaction' : `pid ${holder.pid}`;
  const facts = [
    holder.user === null ? null : `user ${holder.user}`,
    holder.application === null ? null : `application ${holder.application}`,
    holder.state,
    holder.ageSeconds === null ? null : `for ${Math.max(0, Math.round(holder.ageSeconds))} s`,
  ].filter((fact) => fact !== null);
  const query = maskSecrets((holder.query ?? '').replaceAll(/\s+/g, ' ').trim());
  const shown = query.length > LONGEST_QUERY ? `${query.slice(0, LONGEST_QUERY)}…` : query;
  return `${who} (${facts.join(', ')})${does}${shown === '' ? '' : `: ${shown}`}`;
}
