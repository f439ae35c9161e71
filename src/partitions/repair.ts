import { failure, type SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { toSensordbError } from '../cli/output.ts';
import { createBudget, type RunOptions } from '../db/budget.ts';
import { waitForQuiet } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { StepLock } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Job } from './repair-jobs.ts';
import type { PreparedRepair } from './repair-prepare.ts';
import { readStillInvalid } from './repair-read-index-state.ts';
import { type Ending, type RepairResult, resultOf } from './repair-result.ts';
import { isAlone, runJob } from './repair-run-job.ts';

/** How far the jobs of a run have come. */
interface Progress {
  readonly endings: Map<Job, Ending>;
  /** How many of a job's transactions, and statements outside of any, are done. */
  readonly groups: Map<Job, number>;
}

/**
 * Mends what is to be mended, each leaf for itself: one that is blocked or refused does not stop the others.
 *
 * First comes what needs no waiting at all, then the indexes that can be begun, then what has to be waited for: so nobody
 * who holds one leaf takes the time that the others need.
 */
export async function runRepair(
  session: Session,
  { jobs, refused }: PreparedRepair,
  options: RunOptions,
  onJob: (job: Job) => void,
): Promise<RepairResult> {
  const progress: Progress = { endings: new Map(), groups: new Map() };
  const { endings } = progress;
  const impatient: RunOptions = { ...options, budget: createBudget(options.budget.lockTimeoutMs, 0) };
  for (const pass of ['at once', 'indexes', 'waiting'] as const) {
    for (const job of jobs) {
      const so = endings.get(job)?.how;
      if (so === 'mended' || so === 'refused') continue;
      const comesLater = isAlone(job) || job.needs !== null;
      if ((pass === 'at once' && comesLater) || (pass === 'indexes' && !comesLater)) continue;
      onJob(job);
      const ending = await tryJob(session, job, progress, options, pass === 'waiting' ? null : impatient);
      endings.set(job, ending);
      if (ending.how === 'failed') return resultOf(jobs, endings, refused, ending.error);
    }
  }
  await checkValidated(session, jobs, endings);
  return resultOf(jobs, endings, refused, null);
}

/** Tries a job; given impatient options, it does not begin what it would have to wait for. */
async function tryJob(
  session: Session,
  job: Job,
  { endings, groups }: Progress,
  options: RunOptions,
  impatient: RunOptions | null,
): Promise<Ending> {
  const before = job.needs === null ? undefined : endings.get(job.needs);
  if (before !== undefined && before.how !== 'mended') return before;
  // Once nothing is left to wait with, no build is begun: given up, it would leave an invalid index behind.
  const isSpent = isAlone(job) && options.budget.remainingMs() <= 0;
  const blocked = isSpent ? [...endings.values()].find(({ how }) => how === 'blocked') : undefined;
  if (blocked !== undefined) return blocked;
  const so = { done: groups.get(job) ?? 0, isRetry: endings.has(job) };
  const title = job.steps[0]?.title ?? '';
  try {
    if (impatient !== null && isAlone(job)) await waitForQuiet(session, awaited(job), title, impatient);
    const patience = isAlone(job) ? options : (impatient ?? options);
    await runJob(session, job, so, patience, (done) => groups.set(job, done));
    return { how: 'mended' };
  } catch (thrown) {
    return judge(session, thrown);
  }
}

/**
 * The locks in whose way those are that a statement waits for which stands alone: writers of the leaf when it builds an index,
 * everybody who uses it when it drops one.
 */
function awaited({ member, drops }: Job): readonly StepLock[] {
  return [{ relation: member.qualified, mode: drops.length > 0 ? 'ACCESS EXCLUSIVE' : 'SHARE' }];
}

function judge(session: Session, thrown: unknown): Ending {
  const error = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
  if (session.signal.aborted) return { how: 'failed', error };
  if (error.exitCode === EXIT.busy) return { how: 'blocked', error };
  return { how: isOfThisLeaf(error) ? 'refused' : 'failed', error };
}

/** What the server says of one leaf is no reason to leave the others; a missing right or a lost connection is. */
function isOfThisLeaf({ facts }: SensordbError): boolean {
  const { sqlstate } = facts;
  if (sqlstate === null || facts.code === 'connection_lost') return false;
  return sqlstate !== SQLSTATE.insufficientPrivilege && !/^(?:08|25|53|57P|58|XX)/.test(sqlstate);
}

/** Looks whether the indexes are valid that were to become so. */
async function checkValidated(
  session: Session,
  jobs: readonly Job[],
  endings: Map<Job, Ending>,
): Promise<void> {
  const tried = jobs.filter((job) => job.validates !== null && endings.get(job)?.how === 'mended');
  if (tried.length === 0) return;
  const oids = tried.map(({ validates }) => validates as number);
  const invalid = await reading(session, () => readStillInvalid(session, oids));
  for (const job of tried) {
    if (!invalid.has(job.validates as number)) continue;
    const what = `The ${job.drifts[0]?.what} of ${job.member.qualified}`;
    const error = failure('still_invalid', `${what} is still invalid.`, {
      hint: 'This minor version of PostgreSQL does not look again. Update it, or drop the index and create it again.',
    });
    endings.set(job, { how: 'refused', error });
  }
}
