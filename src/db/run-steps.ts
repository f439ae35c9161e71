import { busyError, SensordbError } from '../cli/errors.ts';
import { type Blocker, describeBlocker, findBlockers } from './blockers.ts';
import { backoff, type RunOptions } from './budget.ts';
import { nudgeAutovacuum } from './nudge.ts';
import type { Session } from './session.ts';
import { explainServerError, isServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';
import { locate } from './statements.ts';
import { groupSteps, type Step, type StepLock } from './step.ts';
import { inTransaction, reading } from './transaction.ts';
import { watched } from './watch-queue.ts';

/** How often a wait looks whether the way is free, in milliseconds; a look takes no lock on anybody's table. */
const POLL_MS = 50;

/**
 * Runs the steps of one piece of work in their order: those that share a transaction in one, those without one alone.
 */
export async function runSteps(session: Session, steps: readonly Step[], options: RunOptions): Promise<void> {
  for (const group of groupSteps(steps)) {
    const [first] = group;
    if (first !== undefined && first.transaction === null) await runAlone(session, first, options);
    else await runTransaction(session, group, options);
  }
}

/**
 * Runs the steps of one transaction, under the lock budget; a try that times out is rolled back whole and made again.
 */
export async function runTransaction(
  session: Session,
  steps: readonly Step[],
  options: RunOptions,
): Promise<void> {
  const locks = steps.flatMap((step) => step.locks);
  await underBudget(session, steps[0]?.title ?? '', locks, options, () =>
    sendAll(session, steps, options.budget.lockTimeoutMs),
  );
}

/**
 * Runs a statement that must stand outside of any transaction, such as CREATE INDEX CONCURRENTLY, under the lock budget.
 */
export async function runAlone(session: Session, step: Step, options: RunOptions): Promise<void> {
  await underBudget(session, step.title, step.locks, options, () => sendAlone(session, step, options));
}

/**
 * Sends a statement that must stand outside of any transaction, once; while it waits, somebody watches its queueing.
 *
 * What it left half done when it was given up is for the caller to look at.
 */
export async function sendAlone(session: Session, step: Step, options: RunOptions): Promise<void> {
  await session.assertLocked();
  try {
    await watched(session, step, options, (signal) => session.run(step.sql, [], { signal }));
  } catch (thrown) {
    throw explainServerError(thrown, `${step.title}${placeOf(step, thrown)}`, step.locks[0]?.relation);
  }
}

/**
 * Makes tries at something that takes locks until one succeeds.
 *
 * It first waits for a quiet moment: until nobody whose transaction is older than `lock_timeout` holds or awaits a lock
 * that ours would conflict with. Only then it asks, for no longer than `lock_timeout`: who queues for a strong lock makes
 * everybody after him queue, too. A younger transaction will most likely have ended by then; on a busy table there is
 * always one. Once the budget is spent it throws a busy error that names who was in the way.
 *
 * `wanted` lists all locks of a try that has failed, where those waited for beforehand are only some of them.
 */
export async function underBudget<T>(
  session: Session,
  title: string,
  locks: readonly StepLock[],
  options: RunOptions,
  attempt: () => Promise<T>,
  wanted: () => Promise<readonly StepLock[]> = async () => locks,
): Promise<T> {
  for (let attempts = 0; ; attempts += 1) {
    await waitForQuiet(session, locks, title, options);
    const start = performance.now();
    try {
      return await attempt();
    } catch (thrown) {
      if (!isLockFailure(thrown)) throw thrown;
      options.budget.spend(performance.now() - start);
      const blockers = await reading(session, async () => findBlockers(session.db, await wanted()));
      if (options.budget.remainingMs() <= 0) throw budgetSpent(title, locks, blockers, thrown);
      tell(options, title, blockers);
      await options.budget.pause(backoff(attempts), session.signal);
    }
  }
}

/** Tells whether something failed for want of a lock, so that it is worth another try. */
export function isLockFailure(thrown: unknown): boolean {
  const sqlstate = sqlstateOf(thrown);
  return sqlstate === SQLSTATE.lockNotAvailable || sqlstate === SQLSTATE.deadlockDetected;
}

async function sendAll(session: Session, steps: readonly Step[], lockTimeoutMs: number): Promise<void> {
  await inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
    for (const step of steps) {
      try {
        await session.run(step.sql);
      } catch (thrown) {
        throw explainServerError(thrown, `${step.title}${placeOf(step, thrown)}`, step.locks[0]?.relation);
      }
    }
  });
}

/** Says in which file and line an error lies: where the server points to, or else where the statement begins. */
function placeOf({ source }: Step, thrown: unknown): string {
  if (source === undefined || !isServerError(thrown)) return '';
  const { file, text, offset } = source;
  const line =
    thrown.position === undefined ? source.line : locate(text, Number(thrown.position), offset).line;
  return `: ${file}:${line}`;
}

/** Waits for the quiet moment in which nobody is in the way of the locks; throws a busy error once the budget is spent. */
export async function waitForQuiet(
  session: Session,
  locks: readonly StepLock[],
  title: string,
  options: RunOptions,
): Promise<void> {
  const inTheWay = oldBlockers(options.budget.lockTimeoutMs);
  let nudged: readonly string[] = [];
  for (;;) {
    const start = performance.now();
    const blockers = inTheWay(await reading(session, () => findBlockers(session.db, locks)));
    if (blockers.length === 0) return;
    options.budget.spend(performance.now() - start);
    if (options.budget.remainingMs() <= 0) throw budgetSpent(title, locks, blockers, undefined);
    tell(options, title, blockers);
    const others = blockers.filter(({ relation }) => !nudged.includes(relation));
    if (others.length === blockers.length) nudged = await nudgeAutovacuum(session, blockers, options);
    await options.budget.pause(POLL_MS, session.signal);
  }
}

/**
 * Makes a filter that leaves out, of blockers that are looked at over and over, those whose transactions will most likely
 * have ended within one try of ours.
 *
 * Only members of pg_read_all_stats see how old the transactions of other roles are. For the rest the age counts
 * from the look at which a transaction was new; those of the first look may be of any age.
 */
export function oldBlockers(lockTimeoutMs: number): (found: readonly Blocker[]) => readonly Blocker[] {
  const seen = new Map<string, number>();
  let isFirst = true;
  return (found) => {
    const now = performance.now();
    for (const { transaction } of found) {
      if (!seen.has(transaction)) seen.set(transaction, isFirst ? Number.NEGATIVE_INFINITY : now);
    }
    isFirst = false;
    return found.filter(({ transaction, ageSeconds }) => {
      const ageMs = ageSeconds === null ? now - (seen.get(transaction) ?? now) : ageSeconds * 1000;
      return ageMs >= lockTimeoutMs;
    });
  };
}

function tell(options: RunOptions, title: string, blockers: readonly Blocker[]): void {
  const [first] = blockers;
  if (first !== undefined) options.onWait(`${title}: waiting, ${describeBlocker(first)}`);
}

/** Makes the busy error of a spent budget: who is in the way of what. */
export function budgetSpent(
  title: string,
  locks: readonly StepLock[],
  blockers: readonly Blocker[],
  cause: unknown,
) {
  const who = blockers.map(describeBlocker);
  if (who.length === 0 && cause instanceof SensordbError && cause.facts.code === 'lock_budget_spent')
    return cause;
  const shown =
    who.length === 0
      ? 'timed out on a lock that is free again'
      : `blocked by ${who.slice(0, 3).join('; ')}${more(who.length - 3)}`;
  return busyError('lock_budget_spent', `${title}: ${shown}.`, {
    sqlstate: SQLSTATE.lockNotAvailable,
    object: blockers[0]?.relation ?? locks[0]?.relation,
    hint: 'Nothing is half done. Let that transaction end, or give more time with --wait (and to each try with --lock-timeout), and run it again.',
    cause,
  });
}

function more(count: number): string {
  return count > 0 ? `; and ${count} more` : '';
}
