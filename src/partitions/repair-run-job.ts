import { busyError, failure } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import type { RunOptions } from '../db/budget.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction, sendAlone, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { explainServerError, SQLSTATE } from '../db/sqlstate.ts';
import { groupSteps, type Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { guardMember } from './repair-guard.ts';
import { dropIndex, type Job, type KnownIndex } from './repair-jobs.ts';
import { readBuilding } from './repair-read-index-state.ts';
import type { IndexName } from './repair-read-indexes.ts';

/** Tells whether some of a job stands outside of transactions. */
export function isAlone({ steps }: Job): boolean {
  return steps.some(({ transaction }) => transaction === null);
}

/** How far a job has come. */
export interface JobProgress {
  /** How many of its transactions, and statements outside of any, are done. */
  readonly done: number;
  readonly isRetry: boolean;
}

/** Runs a job from where it came to the last time; `onDone` is told how far it has come. */
export async function runJob(
  session: Session,
  job: Job,
  { done, isRetry }: JobProgress,
  options: RunOptions,
  onDone: (done: number) => void,
): Promise<void> {
  const groups = groupSteps(job.steps);
  for (const [at, group] of groups.entries()) {
    const [first] = group;
    if (at < done || first === undefined) continue;
    const leftover = job.drops[at];
    if (first.transaction !== null) await runTransaction(session, group, options);
    else if (leftover !== undefined) await dropLeftover(session, job, first, leftover, options);
    else if (job.builds !== null) await build(session, job, job.builds, first, options, isRetry);
    else await rebuild(session, job, first, options);
    onDone(at + 1);
  }
}

/** Builds an index; what a try that was given up left of it is dropped before the next one. */
async function build(
  session: Session,
  job: Job,
  index: IndexName,
  step: Step,
  options: RunOptions,
  wasTried: boolean,
): Promise<void> {
  let isRetry = wasTried;
  const made = { ...index, relation: job.member.oid, oid: null };
  const clear = async () => {
    const { invalid } = await reading(session, () => readBuilding(session, made));
    if (invalid) await sendAlone(session, { ...step, ...dropIndex(job.member, index) }, options);
  };
  await underBudget(session, step.title, step.locks, options, async () => {
    if (isRetry) await clear();
    isRetry = true;
    await assertMember(session, job);
    try {
      await sendAlone(session, step, options);
    } catch (thrown) {
      // Rows that break a unique index would break it again: then nothing of it is to stay, for every write would pay for it.
      if (toSensordbError(thrown).facts.sqlstate === SQLSTATE.uniqueViolation) await clear().catch(() => {});
      throw thrown;
    }
  });
  const { exists } = await reading(session, () => readBuilding(session, made));
  if (!exists) throw builtElsewhere(job, index);
}

function builtElsewhere({ member }: Job, index: IndexName): Error {
  const name = printable(qualifiedName(index.schema, index.name));
  return failure(
    'changed_meanwhile',
    `Index ${name} was built, but ${member.qualified} has none of that name: somebody renamed one of them meanwhile.`,
    {
      sqlstate: SQLSTATE.objectNotInPrerequisiteState,
      object: name,
      hint: `If another table has got it, drop it: DROP INDEX CONCURRENTLY ${name}. Then run it again.`,
    },
  );
}

/** Builds an invalid index anew, if it still is the one of the plan. */
async function rebuild(session: Session, job: Job, step: Step, options: RunOptions): Promise<void> {
  const { rebuilds } = job;
  await underBudget(session, step.title, step.locks, options, async () => {
    await assertMember(session, job);
    if (rebuilds !== null) {
      const index = { ...rebuilds, relation: job.member.oid };
      const { invalid } = await reading(session, () => readBuilding(session, index));
      if (!invalid) throw changedMeanwhile(rebuilds);
    }
    await sendAlone(session, step, options);
  });
}

function changedMeanwhile(index: IndexName): Error {
  const name = printable(qualifiedName(index.schema, index.name));
  return failure('changed_meanwhile', `Index ${name} is no longer the invalid one that it was.`, {
    sqlstate: SQLSTATE.objectNotInPrerequisiteState,
    object: name,
    hint: 'Run it again: it works on what is there by then.',
  });
}

/**
 * Makes sure that a leaf's name is still its own, right before a statement that stands outside of transactions.
 *
 * No lock could be kept from here until that statement has its own: nothing is lost in that moment, for all that such
 * statements do is to build an index, or to drop one that serves nobody.
 */
async function assertMember(session: Session, { member, steps }: Job): Promise<void> {
  try {
    await reading(session, () => session.run(guardMember(member).sql));
  } catch (thrown) {
    throw explainServerError(thrown, steps[0]?.title ?? '', member.qualified);
  }
}

/**
 * Drops an invalid index, unless somebody is building it at this very moment: then it is invalid, too, and DROP INDEX, which
 * has to wait for the build, would drop it when it is valid.
 */
async function dropLeftover(
  session: Session,
  job: Job,
  step: Step,
  index: KnownIndex,
  options: RunOptions,
): Promise<void> {
  const name = printable(qualifiedName(index.schema, index.name));
  await underBudget(session, step.title, step.locks, options, async () => {
    await assertMember(session, job);
    const { invalid, builder } = await reading(session, () =>
      readBuilding(session, { ...index, relation: job.member.oid }),
    );
    if (builder !== null) {
      throw busyError('lock_timeout', `${step.title}: pid ${builder} may be building ${name}.`, {
        sqlstate: SQLSTATE.lockNotAvailable,
        object: name,
        hint: 'Let it end.',
      });
    }
    if (!invalid) throw changedMeanwhile(index);
    await sendAlone(session, step, options);
  });
}
