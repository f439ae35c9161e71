import { setTimeout as sleep } from 'node:timers/promises';
import { busyError } from '../cli/errors.ts';
import { describeHolder, type Holder } from './blockers.ts';
import type { RunOptions } from './budget.ts';
import type { Connection, Session } from './session.ts';
import { SQLSTATE, sqlstateOf } from './sqlstate.ts';
import type { Step } from './step.ts';

/** How often the watcher looks, in milliseconds. */
const LOOK_MS = 25;

/**
 * Runs a statement while a second connection watches what it waits for.
 *
 * CREATE INDEX CONCURRENTLY and DETACH … CONCURRENTLY wait in two ways. For transactions that were there before
 * (`virtualxid` in pg_locks) they wait beside the queue of the table, which hurts nobody: for that they get the whole
 * budget. For a lock on a table they queue, and whoever comes after queues behind: for that they get no longer than
 * `--lock-timeout`. One `lock_timeout` on the server would cut both alike (measured on 14 to 18).
 *
 * Without a second connection (a pool of one, too many clients) every wait gets `--lock-timeout` alone.
 * Throws a busy error with SQLSTATE 55P03 when the statement was given up for its waiting.
 */
export async function watched<T>(
  session: Session,
  step: Step,
  options: RunOptions,
  send: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const giveUp = new AbortController();
  const done = new AbortController();
  const watching = watch(session, step, options, giveUp, done.signal);
  try {
    return await send(AbortSignal.any([session.signal, giveUp.signal]));
  } catch (thrown) {
    if (!giveUp.signal.aborted || sqlstateOf(thrown) !== SQLSTATE.queryCanceled) throw thrown;
    const { reason } = giveUp.signal;
    const message = typeof reason === 'string' ? reason : `${step.title}: waited too long for a lock`;
    throw busyError('lock_budget_spent', `${message}.`, {
      sqlstate: SQLSTATE.lockNotAvailable,
      object: step.locks[0]?.relation,
      hint: 'Try again later.',
      cause: thrown,
    });
  } finally {
    done.abort();
    await watching;
  }
}

async function watch(
  session: Session,
  step: Step,
  options: RunOptions,
  giveUp: AbortController,
  done: AbortSignal,
): Promise<void> {
  let watcher: Connection | null = null;
  try {
    watcher = await session.openAnother(AbortSignal.any([done, session.signal]));
    await lookOn(session, watcher, step, options, giveUp, done);
  } catch {
    // What fails here is the watching, not the work: then every wait is cut short.
    await sleep(options.budget.lockTimeoutMs, undefined, { signal: done }).then(
      () => giveUp.abort(),
      () => {},
    );
  } finally {
    await watcher?.close();
  }
}

interface Waiting {
  readonly locktype: string;
  readonly waitedMs: number;
  /** Null when nobody is seen to hold it back any more. */
  readonly holder: Holder | null;
}

async function lookOn(
  session: Session,
  watcher: Connection,
  step: Step,
  { budget, onWait }: RunOptions,
  giveUp: AbortController,
  done: AbortSignal,
): Promise<void> {
  let before = performance.now();
  while (!done.aborted) {
    const waiting = await look(session, watcher, step);
    const now = performance.now();
    if (waiting !== null) {
      budget.spend(now - before);
      const message = describeWaiting(step, waiting);
      onWait(message);
      const isQueuedTooLong = waiting.locktype !== 'virtualxid' && waiting.waitedMs >= budget.lockTimeoutMs;
      if (isQueuedTooLong || budget.remainingMs() <= 0) giveUp.abort(message);
    }
    before = now;
    await sleep(LOOK_MS, undefined, { signal: done }).catch(() => {});
  }
}

function describeWaiting({ title }: Step, { locktype, holder }: Waiting): string {
  const what = locktype === 'virtualxid' ? 'transactions to end that were there before it' : 'a lock';
  return holder === null
    ? `${title}: waiting for ${what}`
    : `${title}: waiting for ${what}, ${describeHolder(holder, '')}`;
}

type WaitingRow = Holder & { readonly locktype: string; readonly waitedMs: number | null };

/**
 * Finds what the statement waits for, if it does.
 *
 * Behind a pooler the process that runs it is not known: it is found by the statement's text, of which
 * pg_stat_activity keeps the first track_activity_query_size bytes.
 */
async function look(session: Session, watcher: Connection, step: Step): Promise<Waiting | null> {
  const { rows } = await watcher.runAlways<WaitingRow>(LOOK, [session.backendPid, session.pooled, step.sql]);
  const [row] = rows;
  if (row === undefined) return null;
  const { locktype, waitedMs, ...holder } = row;
  return { locktype, waitedMs: waitedMs ?? 0, holder: holder.state === null ? null : holder };
}

// Every name is qualified: the watcher runs outside of our transactions, under the role's own search_path.
const LOOK = `
  select l.locktype,
         (extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) l.waitstart)
            operator(pg_catalog.*) 1000)::pg_catalog.float8 as "waitedMs",
         b.pid, b.usename::pg_catalog.text as "user", nullif(b.application_name, '') as application, b.state, b.query,
         extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) b.xact_start)::pg_catalog.float8
           as "ageSeconds"
    from pg_catalog.pg_locks l
    left join pg_catalog.pg_stat_activity b
      on b.pid operator(pg_catalog.=) (pg_catalog.pg_blocking_pids(l.pid))[1]
   where not l.granted
     and l.pid operator(pg_catalog.=) any (
           select a.pid from pg_catalog.pg_stat_activity a
            where case when not $2::pg_catalog.bool then a.pid operator(pg_catalog.=) $1::pg_catalog.int4
                       else a.state operator(pg_catalog.=) 'active'
                        and a.query operator(pg_catalog.=) pg_catalog.left($3::pg_catalog.text, pg_catalog.length(a.query)) end)`;
