import { busyError, refusedError } from '../cli/errors.ts';
import { printable } from '../cli/table.ts';
import type { LockBudget, RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { runTransaction, sendAlone, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step, StepLock } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { type LeafFacts, readLeafState } from './leaf-facts.ts';
import { describeOldSnapshot, findOldSnapshot } from './old-snapshots.ts';

/** One statement of a phase, with its locks. */
export interface Statement {
  readonly sql: string;
  readonly locks?: readonly StepLock[];
}

/** A part of the work on one leaf that is done as a whole, or not at all. */
export type Phase =
  | { readonly kind: 'transaction'; readonly title: string; readonly statements: readonly Statement[] }
  | {
      /** DETACH CONCURRENTLY, which stands alone and can stop halfway; what it left is for FINALIZE. */
      readonly kind: 'detach';
      readonly title: string;
      readonly leaf: Pick<LeafFacts, 'oid' | 'schema' | 'name' | 'relation'>;
      /** Which of the two statements is shown. */
      readonly state: 'attached' | 'detach_pending';
      readonly concurrently: string;
      readonly finalize: string;
      readonly locks: readonly StepLock[];
      /** The lock_timeout of the session; null where no session is ours. */
      readonly timeoutMs: number | null;
    };

/** Lists the steps of phases as they are sent: each phase that is a transaction has a number of its own. */
export function stepsOf(phases: readonly Phase[]): readonly Step[] {
  return phases.flatMap((phase, at) => {
    const transaction = phase.kind === 'transaction' ? at + 1 : null;
    const statements = phase.kind === 'transaction' ? phase.statements : statementsOf(phase);
    return statements.map(({ sql, locks = [] }) => ({
      title: printable(phase.title),
      sql,
      transaction,
      locks,
    }));
  });
}

type DetachPhase = Extract<Phase, { kind: 'detach' }>;

function statementsOf(phase: DetachPhase): readonly Statement[] {
  const detach = {
    sql: phase.state === 'attached' ? phase.concurrently : phase.finalize,
    locks: phase.locks,
  };
  if (phase.timeoutMs === null) return [detach];
  return [{ sql: setTimeout(phase.timeoutMs) }, detach, { sql: resetTimeout() }];
}

const setTimeout = (timeoutMs: number): string =>
  sqlStatement('partitions/set_session_lock_timeout.sql', { timeout: `${timeoutMs}ms` });
const resetTimeout = (): string => sqlStatement('partitions/reset_session_lock_timeout.sql', {});

/** How long a run may wait, and how long DETACH CONCURRENTLY for those who use the parent. */
export interface PhaseOptions extends RunOptions {
  readonly patienceMs: number;
}

/** Runs phases in their order, each under the lock budget. */
export async function runPhases(
  session: Session,
  table: PartitionedTable,
  phases: readonly Phase[],
  options: PhaseOptions,
): Promise<void> {
  for (const phase of phases) {
    if (phase.kind === 'transaction') await runTransaction(session, stepsOf([phase]), options);
    else await runDetach(session, table, phase, options);
  }
}

async function runDetach(
  session: Session,
  table: PartitionedTable,
  phase: DetachPhase,
  options: PhaseOptions,
): Promise<void> {
  if (phase.timeoutMs !== null) await session.run(setTimeout(phase.timeoutMs));
  try {
    await underBudget(session, phase.title, phase.locks, options, () =>
      tryDetach(session, table, phase, options),
    );
  } finally {
    if (phase.timeoutMs !== null) await session.runAlways(resetTimeout()).catch(() => {}); // The session is gone, and its settings.
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
