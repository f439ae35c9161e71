import { busyError } from '../cli/errors.ts';
import { type Blocker, describeBlocker, describeHolder, findBlockers, type Holder } from '../db/blockers.ts';
import { backoff, type RunOptions } from '../db/budget.ts';
import { TABLE_LOCK_CLASS } from '../db/lock.ts';
import { budgetSpent, isLockFailure, isYoung, waitForQuiet } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { explainServerError, SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { type Step, type StepLock, strongestLocks } from '../db/step.ts';
import { inTransaction } from '../db/transaction.ts';
import { holdPosition } from './drain-aside.ts';
import { countStatement, type Move, pendingStatement } from './drain-move.ts';
import type { DrainSteps } from './drain-steps.ts';

/** How often a wait inside the transaction looks whether the way is free, in milliseconds. */
const POLL_MS = 50;

/**
 * Up to so many rows are moved while everybody waits, which takes some milliseconds: then nobody can change one between its
 * deletion and the change of places.
 */
const FEW_ROWS = 2000;

/** What the last transaction came to; `stale`: the copying has to begin anew, `behind`: it has to catch up first. */
export type LastResult =
  | { readonly kind: 'moved'; readonly rows: number }
  | { readonly kind: 'stale' }
  | { readonly kind: 'behind' };

/** Thrown to end a try whose transaction is to be rolled back, because somebody waits for it, or could see too little. */
class GiveWay extends Error {
  readonly who: string;
  constructor(who: string) {
    super(who);
    this.name = 'GiveWay';
    this.who = who;
  }
}

/** The same once a try was given up because somebody wanted to change a row: some 30 ms on an ordinary machine. */
const FEW_CONTESTED_ROWS = 10_000;

/** What earlier tries were like: how long the moving took at best, and whether one was given up for somebody's sake. */
interface Pace {
  moveMs: number;
  contested: boolean;
}

/** Thrown when the table of copies does not hold what was deleted: the transaction must not be committed. */
class Incomplete extends Error {}

/**
 * Moves a period's rows from DEFAULT into their leaf and attaches it, in one transaction.
 *
 * Every row is visible through the parent exactly once, before and after. The parent is locked first and DEFAULT second:
 * of all orders that were measured (14 to 18) only with this one no statement that waited loses rows. A REPEATABLE READ
 * snapshot that is older than the commit would find none of them, so it waits for those, too.
 */
export async function runLast(
  session: Session,
  move: Move,
  steps: DrainSteps,
  mayCatchUp: boolean,
  options: RunOptions,
): Promise<LastResult> {
  const title = steps.change[0]?.title ?? '';
  const locks = strongestLocks(steps.change.flatMap((step) => step.locks));
  const pace: Pace = { moveMs: Number.POSITIVE_INFINITY, contested: false };
  for (let attempts = 0; ; attempts += 1) {
    await waitForQuiet(session, locks, title, options);
    const start = performance.now();
    try {
      return await attempt(session, move, steps, mayCatchUp, pace, locks, options);
    } catch (thrown) {
      if (thrown instanceof Incomplete) return { kind: 'stale' };
      const gaveWay = thrown instanceof GiveWay;
      pace.contested = true;
      if (!gaveWay && !isRetryable(thrown)) throw thrown;
      options.budget.spend(Math.min(performance.now() - start, options.budget.lockTimeoutMs));
      if (options.budget.remainingMs() <= 0) {
        throw gaveWay ? gaveUp(title, locks, thrown) : budgetSpent(title, locks, [], thrown);
      }
      options.onWait(`${title}: waiting${gaveWay ? `, ${thrown.who}` : ''}`);
      await options.budget.pause(backoff(attempts), session.signal);
    }
  }
}

const SERIALIZATION_FAILURE = '40001';

/** A row that another transaction moved into another partition meanwhile ends ours with 40001 (14 to 18). */
function isRetryable(thrown: unknown): boolean {
  return isLockFailure(thrown) || sqlstateOf(thrown) === SERIALIZATION_FAILURE;
}

function gaveUp(title: string, locks: readonly StepLock[], { who }: GiveWay) {
  return busyError('lock_budget_spent', `${title}: held back by ${who}.`, {
    sqlstate: SQLSTATE.lockNotAvailable,
    object: locks[0]?.relation,
    hint: 'Nothing is half done: what was copied is kept for the next run. Let that transaction end, or give more time with --wait, and run it again.',
  });
}

async function attempt(
  session: Session,
  move: Move,
  steps: DrainSteps,
  mayCatchUp: boolean,
  pace: Pace,
  locks: readonly StepLock[],
  options: RunOptions,
): Promise<LastResult> {
  const { lockTimeoutMs } = options.budget;
  return await inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
    if (!(await holdPosition(session, move)).isIntact) return { kind: 'stale' };
    const [settings, move_] = [steps.move.filter(isSetting), steps.move.filter((step) => !isSetting(step))];
    for (const step of settings) await send(session, step);
    const { rows, pending } = await count(session, move);
    if (mayCatchUp && pending > FEW_ROWS) return { kind: 'behind' };
    const few = pace.contested ? FEW_CONTESTED_ROWS : FEW_ROWS;
    const isFew = steps.guard === null && (rows <= few || pace.moveMs <= lockTimeoutMs);
    const start = performance.now();
    const before = isFew ? 0 : await sendMoving(session, move_);
    if (!isFew) await requireComplete(session, move, before);
    if (!isFew) pace.moveMs = Math.min(pace.moveMs, performance.now() - start);
    await quiet(session, steps, locks, options);
    await session.run('savepoint before_locks');
    const change = isFew ? insertMove(steps.change, move_) : steps.change;
    const moved = before + (await changePlaces(session, change, steps, locks, options));
    if (isFew) await requireComplete(session, { ...move, aside: move.leaf.name }, moved);
    return { kind: 'moved', rows: moved };
  });
}

async function count(session: Session, move: Move) {
  const { rows } = await session.run<{ rows: number; pending: number }>(pendingStatement(move));
  return rows[0] ?? { rows: 0, pending: 0 };
}

function isSetting({ sql }: Step): boolean {
  return sql.startsWith('set local');
}

/** Puts the moving behind the locks. */
function insertMove(change: readonly Step[], move: readonly Step[]): readonly Step[] {
  const at = change.findLastIndex(({ sql }) => sql.startsWith('lock table')) + 1;
  return [...change.slice(0, at), ...move, ...change.slice(at)];
}

/** Asks for the strong locks and changes places; while the locks are not to be had, what is moved stays moved. */
async function changePlaces(
  session: Session,
  change: readonly Step[],
  steps: DrainSteps,
  locks: readonly StepLock[],
  options: RunOptions,
): Promise<number> {
  for (let attempts = 0; ; attempts += 1) {
    const start = performance.now();
    try {
      return await sendMoving(session, change);
    } catch (thrown) {
      if (!isLockFailure(thrown) || options.budget.remainingMs() <= 0) throw thrown;
      await session.run('rollback to savepoint before_locks');
      options.budget.spend(performance.now() - start);
      await options.budget.pause(backoff(attempts), session.signal);
      await quiet(session, steps, locks, options);
    }
  }
}

/** Sends statements and adds up the rows that they say they moved. */
async function sendMoving(session: Session, steps: readonly Step[]): Promise<number> {
  let moved = 0;
  for (const step of steps) moved += await send(session, step);
  return moved;
}

async function send(session: Session, step: Step): Promise<number> {
  try {
    const { rows } = await session.run<{ moved?: number }>(step.sql);
    return rows[0]?.moved ?? 0;
  } catch (thrown) {
    throw explainServerError(thrown, step.title, step.locks[0]?.relation);
  }
}

/** Makes sure that the new table holds just as many rows as were deleted from DEFAULT: somebody may have written into it. */
async function requireComplete(session: Session, move: Move, moved: number): Promise<void> {
  const { rows } = await session.run<{ rows: number }>(countStatement(move));
  if (rows[0]?.rows !== moved) throw new Incomplete();
}

/** Waits inside the transaction until nobody is in the way; gives way to whoever waits for a row that it deleted. */
async function quiet(
  session: Session,
  { change }: DrainSteps,
  locks: readonly StepLock[],
  options: RunOptions,
): Promise<void> {
  const title = change[0]?.title ?? '';
  for (;;) {
    const [waiter] = await readWaiters(session);
    if (waiter !== undefined)
      throw new GiveWay(describeHolder(waiter, ' wants to change a row that is being moved'));
    const found = await findBlockers(session.db, locks);
    const blockers = found.filter((blocker) => !isYoung(blocker, options.budget.lockTimeoutMs));
    const [snapshot] = await readSnapshots(session);
    if (blockers.length === 0 && snapshot === undefined) return;
    if (options.budget.remainingMs() <= 0) throw spent(title, locks, blockers, snapshot);
    if (snapshot !== undefined)
      options.onWait(`${title}: waiting, ${describeHolder(snapshot, HOLDS_SNAPSHOT)}`);
    else options.onWait(`${title}: waiting, ${describeBlocker(blockers[0] as Blocker)}`);
    await options.budget.pause(POLL_MS, session.signal);
  }
}

const HOLDS_SNAPSHOT = ' has a snapshot that would miss the rows';

function spent(
  title: string,
  locks: readonly StepLock[],
  blockers: readonly Blocker[],
  snapshot: Holder | undefined,
) {
  if (blockers.length > 0 || snapshot === undefined) return budgetSpent(title, locks, blockers, undefined);
  return gaveUp(title, locks, new GiveWay(describeHolder(snapshot, HOLDS_SNAPSHOT)));
}

const HOLDER = `a.pid, a.usename::text as "user", nullif(a.application_name, '') as application, a.state, a.query,
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as "ageSeconds"`;

/** Finds who waits for the end of our transaction, because he wants a row that we deleted. */
async function readWaiters(session: Session): Promise<readonly Holder[]> {
  const { rows } = await session.run<Holder>(
    `select ${HOLDER} from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'transactionid' and not l.granted
        and l.transactionid = (pg_current_xact_id_if_assigned()::text::int8 & 4294967295)::text::xid`,
  );
  return rows;
}

/**
 * Finds who is idle in a transaction with a snapshot, which he will read by when we are through.
 *
 * Other runs of sensordb are READ COMMITTED, and two drains at once would hold each other back: they are known by the
 * advisory lock on their table, or behind a pooler, where another session holds that, by the name they give themselves.
 */
async function readSnapshots(session: Session): Promise<readonly Holder[]> {
  const { rows } = await session.run<Holder>(
    `select ${HOLDER} from pg_stat_activity a
      where a.datname = current_database() and a.state = 'idle in transaction' and a.backend_xmin is not null
        and a.pid <> pg_backend_pid() and a.application_name <> 'sensordb'
        and not exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory'
                                                 and l.classid = ${TABLE_LOCK_CLASS})`,
  );
  return rows;
}
