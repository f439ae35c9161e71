import { sql } from 'kysely';
import { busyError, failure, usageError } from '../cli/errors.ts';
import { backoff, type LockBudget } from './budget.ts';
import type { Run } from './open.ts';
import type { Connection, Session } from './session.ts';

/**
 * What a run excludes others from: the partitions of one table, or the migrations of the database.
 *
 * Advisory locks are per database. The key has two int4 halves; the second is the table's OID, so that the lock
 * survives a rename.
 */
export type LockTarget =
  | { readonly kind: 'table'; readonly oid: number; readonly name: string }
  | { readonly kind: 'migrations' };

// "SDB" in ASCII and a number: pg_locks shows them as classid.
const CLASS_ID = { migrations: 0x53444201, table: 0x53444202 } as const;

interface Key {
  readonly classId: number;
  /** An OID is unsigned, an int4 is not: those above 2^31 wrap. */
  readonly objectId: number;
}

function keyOf(target: LockTarget): Key {
  return { classId: CLASS_ID[target.kind], objectId: target.kind === 'table' ? target.oid | 0 : 0 };
}

function subject(target: LockTarget): string {
  return target.kind === 'table' ? target.name : 'the migrations of this database';
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
  const holder = await session.openAnother();
  try {
    // Through the simple protocol the transaction keeps no snapshot, so that it holds no vacuum back.
    await holder.run('begin; set local idle_in_transaction_session_timeout to 0');
    await poll(session, target, budget, () => tryLock(holder.run, 'pg_try_advisory_xact_lock', target));
    const assertLocked = () => assertHeld(holder, target);
    await proveHeld(session, target);
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

async function assertHeld(holder: Connection, target: LockTarget): Promise<void> {
  try {
    await holder.run('select 1');
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

/** Looks from the working connection whether the lock is to be seen: the two must be in the same database. */
async function proveHeld(session: Session, target: LockTarget): Promise<void> {
  const timeout = AbortSignal.timeout(POOL_WAIT_MS);
  const { classId, objectId } = keyOf(target);
  let held: boolean;
  try {
    const { rows } = await session.run<{ held: boolean }>(
      `select exists (select from pg_catalog.pg_locks l
         where l.locktype operator(pg_catalog.=) 'advisory' and l.granted
           and l.classid operator(pg_catalog.=) '${classId}'::pg_catalog.oid
           and l.objid operator(pg_catalog.=) '${objectId >>> 0}'::pg_catalog.oid) as held`,
      [],
      { signal: AbortSignal.any([timeout, session.signal]) },
    );
    held = rows[0]?.held === true;
  } catch (thrown) {
    if (session.signal.aborted || !timeout.aborted) throw thrown;
    held = false;
  }
  if (held) return;
  throw usageError('lock_not_provable', `The pooler lets no lock on ${subject(target)} be held and seen.`, {
    object: subject(target),
    hint: 'Connect to PostgreSQL directly, or through a pool in session mode with at least two connections.',
  });
}

async function poll(
  session: Session,
  target: LockTarget,
  budget: LockBudget,
  attempt: () => Promise<boolean>,
): Promise<void> {
  for (let attempts = 0; !(await attempt()); attempts += 1) {
    if (budget.remainingMs() <= 0) throw await heldByOther(session, target);
    await budget.pause(Math.min(backoff(attempts), budget.remainingMs() + 1), session.signal);
  }
}

async function heldByOther(session: Session, target: LockTarget): Promise<Error> {
  const { classId, objectId } = keyOf(target);
  const { rows } = await sql<{ pid: number; user: string | null; application: string | null }>`
    select l.pid, a.usename::pg_catalog.text as "user", a.application_name as application
      from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
     where l.locktype operator(pg_catalog.=) 'advisory' and l.granted
       and l.classid operator(pg_catalog.=) ${sql.lit(String(classId))}::pg_catalog.oid
       and l.objid operator(pg_catalog.=) ${sql.lit(String(objectId >>> 0))}::pg_catalog.oid
       and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()`.execute(session.db);
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
