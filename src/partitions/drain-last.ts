import { backoff, type RunOptions } from '../db/budget.ts';
import { budgetSpent, isLockFailure, waitForQuiet } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { explainServerError, sqlstateOf } from '../db/sqlstate.ts';
import { type Step, type StepLock, strongestLocks } from '../db/step.ts';
import { inTransaction } from '../db/transaction.ts';
import { holdPosition } from './drain-aside.ts';
import { countStatement, type Move, moveStatement, pendingStatement } from './drain-move.ts';
import { GiveWay, gaveUp, giveWay, quiet } from './drain-quiet.ts';
import type { DrainSteps } from './drain-steps.ts';

/**
 * Up to so many rows are moved while everybody waits, which takes some milliseconds: then nobody can change one between its
 * deletion and the change of places.
 */
const FEW_ROWS = 2000;

/** The same once a try was given up because somebody wanted to change a row: some 30 ms on an ordinary machine. */
const FEW_CONTESTED_ROWS = 10_000;

/** What the last transaction came to; `stale`: the copying has to begin anew, `behind`: it has to catch up first. */
export type LastResult =
  | { readonly kind: 'moved'; readonly rows: number }
  | { readonly kind: 'stale' }
  | { readonly kind: 'behind' };

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
  const { title } = steps.move;
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
  const { title } = steps.move;
  return await inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
    const { isIntact, blocks } = await holdPosition(session, move);
    if (!isIntact) return { kind: 'stale' };
    await sendMoving(session, steps.settings);
    const { rows, pending } = await count(session, move);
    if (mayCatchUp && pending > FEW_ROWS) return { kind: 'behind' };
    const few = pace.contested ? FEW_CONTESTED_ROWS : FEW_ROWS;
    const isFew = steps.guard === null && (rows <= few || pace.moveMs <= lockTimeoutMs);
    const before = isFew ? 0 : await moveInPieces(session, move, steps, { rows, blocks }, pace);
    await quiet(session, title, locks, options);
    await session.run('savepoint before_locks');
    const change = isFew ? insertMove(steps.change, steps.move) : steps.change;
    const moved = before + (await changePlaces(session, change, title, locks, options));
    if (isFew) await requireComplete(session, { ...move, aside: move.leaf.name }, moved);
    return { kind: 'moved', rows: moved };
  });
}

async function count(session: Session, move: Move) {
  const { rows } = await session.run<{ rows: number; pending: number }>(pendingStatement(move));
  return rows[0] ?? { rows: 0, pending: 0 };
}

/** So many rows are moved before it is looked whether somebody wants to change one of them; he waits no longer than that. */
const PIECE_ROWS = 10_000;

/** Beyond the last block that a table can have. */
const NO_BLOCK = 4_294_967_295;

/** Moves the rows that did not change since they were copied, piece by piece; gives how many. */
async function moveInPieces(
  session: Session,
  move: Move,
  steps: DrainSteps,
  { rows, blocks }: { readonly rows: number; readonly blocks: number },
  pace: Pace,
): Promise<number> {
  const start = performance.now();
  const pages = Math.max(1, Math.floor((PIECE_ROWS * blocks) / Math.max(1, rows)));
  let moved = 0;
  for (let first = 0; first === 0 || first < blocks; first += pages) {
    const last = first + pages < blocks ? first + pages : NO_BLOCK;
    moved += await send(session, { ...steps.move, sql: moveStatement(move, { first, last }) });
    await giveWay(session);
  }
  moved += await sendMoving(session, steps.rest);
  await requireComplete(session, move, moved);
  pace.moveMs = Math.min(pace.moveMs, performance.now() - start);
  return moved;
}

/** Puts the moving behind the locks. */
function insertMove(change: readonly Step[], move: Step): readonly Step[] {
  const at = change.findLastIndex(({ sql }) => sql.startsWith('lock table')) + 1;
  return [...change.slice(0, at), move, ...change.slice(at)];
}

/** Asks for the strong locks and changes places; while the locks are not to be had, what is moved stays moved. */
async function changePlaces(
  session: Session,
  change: readonly Step[],
  title: string,
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
      await quiet(session, title, locks, options);
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
