import { busyError, refusedError } from '../cli/errors.ts';
import { describeBlocker, findBlockers } from '../db/blockers.ts';
import type { LockBudget, RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { oldBlockers, sendAlone, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { readLeafState } from './leaf-facts.ts';
import type { DetachPhase, Statement } from './leaf-work.ts';
import { describeOldSnapshot, findOldSnapshot } from './old-snapshots.ts';

/** How long a run may wait, and how long DETACH CONCURRENTLY for those who use the parent. */
export interface PhaseOptions extends RunOptions {
  readonly patienceMs: number;
  /** DETACH CONCURRENTLY is not begun while anybody is in its way, however young his transaction is. */
  readonly strict: boolean;
}

/** Lists its statements as they are sent. */
export function detachStatements(phase: DetachPhase): readonly Statement[] {
  const detach = {
    sql: phase.state === 'attached' ? phase.concurrently : phase.finalize,
    locks: phase.locks,
  };
  if (phase.timeoutMs === null) return [detach];
  return [{ sql: timeoutStatement(phase.timeoutMs) }, detach, { sql: resetStatement() }];
}

const timeoutStatement = (timeoutMs: number): string =>
  sqlStatement('partitions/set_session_lock_timeout.sql', { timeout: `${timeoutMs}ms` });
const resetStatement = (): string => sqlStatement('partitions/reset_session_lock_timeout.sql', {});

/** Runs DETACH CONCURRENTLY, and what completes it, under the lock budget. */
export async function runDetach(
  session: Session,
  table: PartitionedTable,
  phase: DetachPhase,
  options: PhaseOptions,
): Promise<void> {
  if (phase.timeoutMs !== null) await session.run(timeoutStatement(phase.timeoutMs));
  try {
    await underBudget(session, phase.title, phase.locks, options, () =>
      tryDetach(session, table, phase, options),
    );
  } finally {
    if (phase.timeoutMs !== null) await session.runAlways(resetStatement()).catch(() => {}); // The session is gone, and its settings.
  }
}

/**
 * Makes one try, with the statement that the leaf's state asks for by now.
 *
 * DETACH CONCURRENTLY waits until all transactions that use the parent have ended, idle ones too; FINALIZE waits for those
 * alone that have an old snapshot (14 to 18). So the one is given up soon, and the other does the rest.
 */
async function tryDetach(
  session: Session,
  table: PartitionedTable,
  phase: DetachPhase,
  options: PhaseOptions,
): Promise<void> {
  const state = await readState(session, table, phase);
  if (state === 'detached') return;
  if (state === 'attached') {
    if (options.strict) await refuseAnybody(session, phase, options);
    const { budget, settle } = patientBudget(options.budget, options.patienceMs);
    try {
      await send(session, phase, phase.concurrently, { ...options, budget });
      settle();
      return;
    } catch (thrown) {
      session.signal.throwIfAborted();
      const isHalfway = (await readState(session, table, phase)) === 'detach_pending';
      if (!isHalfway || sqlstateOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
      settle();
    }
  }
  await refuseOldSnapshots(session, phase, options);
  const { budget, settle } = patientBudget(options.budget, Number.POSITIVE_INFINITY);
  await send(session, phase, phase.finalize, { ...options, budget });
  settle();
}

/** How often it is looked for a moment without anybody, in milliseconds. */
const LOOK_MS = 10;

/**
 * Once it is begun, a leaf that is held for long keeps all others of the table from being detached CONCURRENTLY.
 *
 * Those who will most likely be gone in a moment are given that long: on a busy table there is always one.
 */
async function refuseAnybody(
  session: Session,
  { title, locks, leaf }: DetachPhase,
  { budget }: RunOptions,
): Promise<void> {
  const end = performance.now() + budget.lockTimeoutMs;
  const inTheWay = oldBlockers(budget.lockTimeoutMs);
  for (;;) {
    const blockers = await reading(session, () => findBlockers(session.db, locks));
    const [old] = inTheWay(blockers);
    const blocker = old ?? blockers[0];
    if (blocker === undefined) return;
    if (old !== undefined || performance.now() >= end) {
      throw busyError('lock_budget_spent', `${title}: blocked by ${describeBlocker(blocker)}.`, {
        sqlstate: SQLSTATE.lockNotAvailable,
        object: leaf.relation,
        hint: 'Let that transaction end, or give more time with --wait, and run it again.',
      });
    }
    await budget.pause(LOOK_MS, session.signal);
  }
}

async function readState(
  session: Session,
  table: PartitionedTable,
  { leaf }: DetachPhase,
): Promise<'attached' | 'detach_pending' | 'detached'> {
  const state = await reading(session, () => readLeafState(session, table, leaf));
  if (state !== null && state !== 'elsewhere') return state;
  throw refusedError('changed', `${leaf.relation} is no longer what this was planned for.`, {
    sqlstate: SQLSTATE.refused,
    object: leaf.relation,
    hint: 'Somebody else works on it. Run this again: it works on what is there by then.',
  });
}

async function send(
  session: Session,
  { title, locks }: DetachPhase,
  sql: string,
  options: RunOptions,
): Promise<void> {
  await sendAlone(session, { title, sql, transaction: null, locks }, options);
}

/**
 * FINALIZE waits for all older snapshots of the database, and holds ACCESS EXCLUSIVE on the leaf meanwhile: whoever has one
 * and then reads the table would end in a deadlock with it (measured on 14 to 18). So it is not sent before they are gone.
 */
async function refuseOldSnapshots(session: Session, phase: DetachPhase, options: RunOptions): Promise<void> {
  const old = await reading(session, () => findOldSnapshot(session, options.budget.lockTimeoutMs));
  if (old === null) return;
  throw busyError('lock_budget_spent', `${phase.title}: blocked by ${describeOldSnapshot(old)}.`, {
    sqlstate: SQLSTATE.lockNotAvailable,
    object: phase.leaf.relation,
    hint: 'Let that transaction end, or give more time with --wait, and run it again.',
  });
}

/** Makes a budget for one statement; what it waits is taken from the whole at the end, or by the loop of tries. */
function patientBudget(
  whole: LockBudget,
  patienceMs: number,
): { readonly budget: LockBudget; readonly settle: () => void } {
  let spentMs = 0;
  const limitMs = Number.isFinite(patienceMs) ? patienceMs : whole.remainingMs();
  const budget: LockBudget = {
    ...whole,
    remainingMs: () => Math.max(0, limitMs - spentMs),
    spend: (milliseconds) => {
      spentMs += milliseconds;
    },
  };
  return { budget, settle: () => whole.spend(spentMs) };
}
