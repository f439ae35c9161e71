import { busyError, failure, usageError } from '../cli/errors.ts';
import { backoff, type LockBudget } from './budget.ts';
import type { Run } from './open.ts';
import type { Connection, Session } from './session.ts';

/**
 * What a run excludes others from: the partitions of one table, its aggregates, or the migrations of the database.
 *
 * Advisory locks are per database. The key has two int4 halves; the second is the table's OID, so that the lock
 * survives a rename.
 */
export type LockTarget =
  | { readonly kind: 'table' | 'aggregates'; readonly oid: number; readonly name: string }
  | { readonly kind: 'migrations' };

// "SDB" in ASCII and a number: pg_locks shows them as classid.
const CLASS_ID = { migrations: 0x53444201, table: 0x53444202, aggregates: 0x53444203 } as const;

/** The classid in pg_locks of the lock that a run holds on a table. */
export const TABLE_LOCK_CLASS = CLASS_ID.table;

/** The same of the lock that a run holds on the aggregates of a table. */
export const AGGREGATES_LOCK_CLASS = CLASS_ID.aggregates;

interface Key {
  readonly classId: number;
  /** An OID is unsigned, an int4 is not: those above 2^31 wrap. */
  readonly objectId: number;
}

function keyOf(target: LockTarget): Key {
  return { classId: CLASS_ID[target.kind], objectId: target.kind === 'migrations' ? 0 : target.oid | 0 };
}

function subject(target: LockTarget): string {
  return target.kind === 'migrations' ? 'the migrations of this database' : target.name;
}

/**
 * Runs a function while this run alone holds the advisory lock on a target.
 *
 * On a direct connection it is a session lock of that very connection: were it lost, the work would be, too. Behind a pooler
 * no session is ours, so a second connection holds it in a transaction that stays open; every transaction of the work first
 * makes sure that it still does. Polls rather than queues: CREATE INDEX CONCURRENTLY waits for every transaction
 * that waits, and would deadlock with a queue of ours.
 */
export async function withLock<T>(
  session: Session,
  target: LockTarget,
  budget: LockBudget,
  work: (locked: Session) => Promise<T>,
): Promise<T> {
  return session.pooled
    ? await withPooledLock(session, target, budget, work)
    : await withSessionLock(session, target, budget, work);
}

async function withSessionLock<T>(
  session: Session,
  target: LockTarget,
  budget: LockBudget,
  work: (locked: Session) => Promise<T>,
): Promise<T> {
  const { classId, objectId } = keyOf(target);
  await poll(session, target, budget, () => tryLock(session.run, 'pg_try_advisory_lock', target));
  try {
    return await work(session);
  } finally {
    await session.runAlways(`select pg_catalog.pg_advisory_unlock(${classId}, ${objectId})`).catch(() => {}); // The connection is lost, and the lock with it.
  }
}

async function withPooledLock<T>(
  session: Session,
  target: LockTarget,
  budget: LockBudget,
  work: (locked: Session) => Promise<T>,
): Promise<T> {
  const holder = await withinPoolWait(session, target, (signal) => session.openAnother(signal));
  try {
    const holderPid = await withinPoolWait(session, target, () => openHolder(session, holder));
    await poll(session, target, budget, () => tryLock(holder.run, 'pg_try_advisory_xact_lock', target));
    const assertLocked = () => assertHeld(holder, target);
    const held = await withinPoolWait(session, target, () => isHeldBy(session, target, holderPid));
    if (!held) throw notProvable(target);
    return await work({ ...session, assertLocked });
  } finally {
    await holder.close();
  }
}

async function tryLock(run: Run, call: string, target: LockTarget): Promise<boolean> {
  const { classId, objectId } = keyOf(target);
  const { rows } = await run<{ locked: boolean }>(
    `select pg_catalog.${call}(${classId}, ${objectId}) as locked`,
  );
  return rows[0]?.locked === true;
}

/** Opens the transaction that is to hold the lock; gives the pid of the server process that it is pinned to. */
async function openHolder(session: Session, holder: Connection): Promise<number> {
  // Through the simple protocol the transaction keeps no snapshot, so that it holds no vacuum back.
  const timeouts = ['idle_in_transaction_session_timeout'];
  if (session.server.versionNum >= 170_000) timeouts.push('transaction_timeout'); // New in PostgreSQL 17.
  const statements = ['begin', ...timeouts.map((name) => `set local ${name} to 0`)];
  await holder.run(statements.join('; '));
  const { rows } = await holder.run<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}

async function assertHeld(holder: Connection, target: LockTarget): Promise<void> {
  try {
    // Also after an interruption: what is to be noted then is under the lock still.
    await holder.runAlways('select 1');
  } catch (thrown) {
    throw failure('lock_lost', `The connection that held the lock on ${subject(target)} is gone.`, {
      object: subject(target),
      hint: 'A pooler or a timeout closed it. What was committed stands; run it again, best over a direct connection.',
      cause: thrown,
    });
  }
}

/** Long enough for any pooler to hand out a connection that is free. */
const POOL_WAIT_MS = 10_000;

/**
 * Gives a pooler so long to find a server for what is asked; a pool of one that is taken never does.
 *
 * It does not wait for what it gives up: PgBouncer (1.18) ignores a cancel request for a query that waits for a server.
 */
async function withinPoolWait<T>(
  session: Session,
  target: LockTarget,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const settled = new AbortController();
  const timeout = AbortSignal.timeout(POOL_WAIT_MS);
  const signal = AbortSignal.any([timeout, session.signal]);
  const givenUp = new Promise<never>((_resolve, reject) => {
    const giveUp = () => reject(timeout.aborted ? notProvable(target) : signal.reason);
    signal.addEventListener('abort', giveUp, { signal: settled.signal });
  });
  const answer = ask(signal);
  answer.catch(() => {}); // Perhaps it fails when nobody waits for it any more.
  try {
    return await Promise.race([givenUp, answer]);
  } finally {
    settled.abort();
  }
}

/** Looks from the working connection whether that process is seen to hold the lock: both must be in one database. */
async function isHeldBy(session: Session, target: LockTarget, pid: number): Promise<boolean> {
  const { rows } = await session.run<{ held: boolean }>(
    `select exists (select from pg_catalog.pg_locks l
       where ${isTarget(target)} and l.pid operator(pg_catalog.=) ${pid}) as held`,
  );
  return rows[0]?.held === true;
}

function notProvable(target: LockTarget): Error {
  return usageError('lock_not_provable', `The pooler lets no lock on ${subject(target)} be held and seen.`, {
    object: subject(target),
    hint: 'Connect to PostgreSQL directly, or through a pool in session mode with at least two connections.',
  });
}

/** Finds the lock on a target in pg_locks, which shows those of all databases; operators are qualified. */
function isTarget(target: LockTarget): string {
  const { classId, objectId } = keyOf(target);
  const is = 'operator(pg_catalog.=)';
  return `l.locktype ${is} 'advisory' and l.granted and l.objsubid ${is} 2
       and l.classid ${is} '${classId}'::pg_catalog.oid and l.objid ${is} '${objectId >>> 0}'::pg_catalog.oid
       and l.database ${is} (select d.oid from pg_catalog.pg_database d
                              where d.datname ${is} pg_catalog.current_database())`;
}

async function poll(
  session: Session,
  target: LockTarget,
  budget: LockBudget,
  attempt: () => Promise<boolean>,
): Promise<void> {
  for (let attempts = 0; ; attempts += 1) {
    const start = performance.now();
    if (await attempt()) return;
    budget.spend(performance.now() - start);
    if (budget.remainingMs() <= 0) throw await heldByOther(session, target);
    await budget.pause(Math.min(backoff(attempts), budget.remainingMs() + 1), session.signal);
  }
}

async function heldByOther(session: Session, target: LockTarget): Promise<Error> {
  const { rows } = await session.run<{ pid: number; user: string | null; application: string | null }>(
    `select l.pid, a.usename::pg_catalog.text as "user", a.application_name as application
       from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
      where ${isTarget(target)} and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()`,
  );
  const [other] = rows;
  const who =
    other === undefined
      ? 'another run'
      : `pid ${other.pid} (user ${other.user}, application ${other.application})`;
  return busyError('locked', `Another run of sensordb works on ${subject(target)}: ${who} holds the lock.`, {
    object: subject(target),
    hint: 'Let it end, or give more time with --wait.',
  });
}
