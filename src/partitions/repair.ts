import { busyError, type ErrorFacts, failure, type SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { toSensordbError } from '../cli/output.ts';
import { createBudget, type RunOptions } from '../db/budget.ts';
import { runAlone, runTransaction, sendAlone, underBudget, waitForQuiet } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import { groupSteps, type Step, type StepLock } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Drift, Refused } from './drift.ts';
import { dropIndex, type Job } from './repair-jobs.ts';
import type { PreparedRepair } from './repair-prepare.ts';
import { isLeftInvalid, readStillInvalid } from './repair-read-indexes.ts';

/** What a run came to. */
export interface RepairResult {
  readonly mended: readonly Drift[];
  readonly refused: readonly Refused[];
  /** Drift that is left since somebody held a lock. */
  readonly blocked: readonly Drift[];
  /** What ended the run before its time, or that something is left for want of a lock. */
  readonly error: SensordbError | null;
}

type Ending =
  | { readonly how: 'mended' }
  | { readonly how: 'blocked' | 'refused' | 'failed'; readonly error: SensordbError };

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
  await validated(session, jobs, endings);
  return resultOf(jobs, endings, refused, null);
}

function isAlone({ steps }: Job): boolean {
  return steps.some(({ transaction }) => transaction === null);
}

/** Tries a job; given impatient options, it does not begin what it would have to wait for. */
async function tryJob(
  session: Session,
  job: Job,
  progress: Progress,
  options: RunOptions,
  impatient: RunOptions | null,
): Promise<Ending> {
  const before = job.needs === null ? undefined : progress.endings.get(job.needs);
  if (before !== undefined && before.how !== 'mended') return before;
  const spent = isAlone(job) && options.budget.remainingMs() <= 0 ? firstBlocked(progress) : undefined;
  if (spent !== undefined) return spent;
  try {
    if (impatient !== null && isAlone(job))
      await waitForQuiet(session, awaited(job), titleOf(job), impatient);
    await runJob(session, job, progress, isAlone(job) ? options : (impatient ?? options));
    return { how: 'mended' };
  } catch (thrown) {
    return judge(session, thrown);
  }
}

/** Once nothing is left to wait with, no build is begun: given up, it would leave an invalid index behind. */
function firstBlocked({ endings }: Progress): Ending | undefined {
  return [...endings.values()].find(({ how }) => how === 'blocked');
}

function titleOf({ steps }: Job): string {
  return steps[0]?.title ?? '';
}

/**
 * The locks in whose way those are that a statement waits for which stands alone: writers of the leaf when it builds an index,
 * everybody who uses it when it drops one.
 */
function awaited({ member, steps }: Job): readonly StepLock[] {
  const drops = steps[0]?.sql.startsWith('drop') ?? false;
  return [{ relation: member.qualified, mode: drops ? 'ACCESS EXCLUSIVE' : 'SHARE' }];
}

/** Runs a job from where it came to the last time. */
async function runJob(session: Session, job: Job, progress: Progress, options: RunOptions): Promise<void> {
  const isRetry = progress.endings.has(job);
  const groups = groupSteps(job.steps);
  for (let at = progress.groups.get(job) ?? 0; at < groups.length; at += 1) {
    const [first] = groups[at] ?? [];
    if (first === undefined) continue;
    if (first.transaction !== null) await runTransaction(session, groups[at] ?? [], options);
    else if (job.builds !== null && first.sql.startsWith('create')) {
      await build(session, job, first, options, isRetry);
    } else await runAlone(session, first, options);
    progress.groups.set(job, at + 1);
  }
}

/** Builds an index; what a try that was given up left of it is dropped before the next one. */
async function build(
  session: Session,
  job: Job,
  step: Step,
  options: RunOptions,
  wasTried: boolean,
): Promise<void> {
  let isRetry = wasTried;
  await underBudget(session, step.title, step.locks, options, async () => {
    if (isRetry) await dropLeftover(session, job, step, options);
    isRetry = true;
    try {
      await sendAlone(session, step, options);
    } catch (thrown) {
      // Rows that break a unique index would break it again: then nothing of it is to stay, for every write would pay for it.
      if (toSensordbError(thrown).facts.sqlstate === SQLSTATE.uniqueViolation) {
        await dropLeftover(session, job, step, options).catch(() => {});
      }
      throw thrown;
    }
  });
}

async function dropLeftover(session: Session, job: Job, step: Step, options: RunOptions): Promise<void> {
  const index = job.builds;
  if (index === null || !(await reading(session, () => isLeftInvalid(session, index)))) return;
  await sendAlone(session, { ...step, ...dropIndex(job.member, index) }, options);
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
async function validated(session: Session, jobs: readonly Job[], endings: Map<Job, Ending>): Promise<void> {
  const tried = jobs.filter((job) => job.validates !== null && endings.get(job)?.how === 'mended');
  if (tried.length === 0) return;
  const oids = tried.map(({ validates }) => validates as number);
  const invalid = await reading(session, () => readStillInvalid(session, oids));
  for (const job of tried) {
    if (!invalid.has(job.validates as number)) continue;
    const error = failure(
      'still_invalid',
      `The ${job.drifts[0]?.what} of ${job.member.qualified} is still invalid.`,
      {
        hint: 'This minor version of PostgreSQL does not look again. Update it, or drop the index and create it again.',
      },
    );
    endings.set(job, { how: 'refused', error });
  }
}

function resultOf(
  jobs: readonly Job[],
  endings: ReadonlyMap<Job, Ending>,
  refused: readonly Refused[],
  error: SensordbError | null,
): RepairResult {
  const driftsOf = (how: Ending['how']): readonly Drift[] =>
    jobs.filter((job) => endings.get(job)?.how === how).flatMap(({ drifts }) => drifts);
  const failed = jobs.flatMap((job) => {
    const ending = endings.get(job);
    return ending?.how === 'refused' ? job.drifts.map((drift) => asRefused(drift, ending.error.facts)) : [];
  });
  return {
    mended: driftsOf('mended'),
    refused: [...refused, ...failed],
    blocked: driftsOf('blocked'),
    error: error ?? blockedError(jobs, endings),
  };
}

function asRefused({ name, kind }: Drift, { code, sqlstate, message, hint }: ErrorFacts): Refused {
  const reason = sqlstate === SQLSTATE.uniqueViolation ? 'duplicate_rows' : code;
  return { name, kind, reason, message, hint: hint ?? 'Mend that, and run it again.' };
}

function blockedError(jobs: readonly Job[], endings: ReadonlyMap<Job, Ending>): SensordbError | null {
  const blocked = jobs.filter((job) => endings.get(job)?.how === 'blocked');
  const [first] = blocked;
  const ending = first === undefined ? undefined : endings.get(first);
  if (ending === undefined || ending.how === 'mended') return null;
  const { code, message, sqlstate, object } = ending.error.facts;
  const names = [...new Set(blocked.map(({ member }) => member.name))];
  const all =
    names.length === 1
      ? ''
      : ` Left are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}.`;
  return busyError(code, `${message}${all}`, {
    hint: 'What could be done without that lock is done. Let that transaction end, or give more time with --wait, and run it again: it carries on from there.',
    sqlstate: sqlstate ?? undefined,
    object: object ?? undefined,
    cause: ending.error,
  });
}
