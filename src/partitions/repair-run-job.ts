import { busyError, failure } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import type { RunOptions } from '../db/budget.ts';
import { qualifiedName } from '../db/quote.ts';
import { runAlone, runTransaction, sendAlone, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import { groupSteps, type Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { dropIndex, type Job } from './repair-jobs.ts';
import { readBuilding } from './repair-read-index-state.ts';
import type { IndexName } from './repair-read-indexes.ts';

/** Tells whether some of a job stands outside of transactions. */
export function isAlone({ steps }: Job): boolean {
  return steps.some(({ transaction }) => transaction === null);
}

/** Runs the steps of a job in their order. */
export async function runJob(session: Session, job: Job, options: RunOptions): Promise<void> {
  for (const [at, group] of groupSteps(job.steps).entries()) {
    const [first] = group;
    if (first === undefined) continue;
    const leftover = job.drops[at];
    if (first.transaction !== null) await runTransaction(session, group, options);
    else if (leftover !== undefined) await dropLeftover(session, first, leftover, options);
    else if (job.builds !== null) await build(session, job, job.builds, first, options);
    else await runAlone(session, first, options);
  }
}

/** Builds an index; what a try that was given up left of it is dropped before the next one. */
async function build(
  session: Session,
  job: Job,
  index: IndexName,
  step: Step,
  options: RunOptions,
): Promise<void> {
  let isRetry = false;
  const clear = async () => {
    const { invalid } = await reading(session, () => readBuilding(session, index));
    if (invalid) await sendAlone(session, { ...step, ...dropIndex(job.member, index) }, options);
  };
  await underBudget(session, step.title, step.locks, options, async () => {
    if (isRetry) await clear();
    isRetry = true;
    try {
      await sendAlone(session, step, options);
    } catch (thrown) {
      // Rows that break a unique index would break it again: then nothing of it is to stay, for every write would pay for it.
      if (toSensordbError(thrown).facts.sqlstate === SQLSTATE.uniqueViolation) await clear().catch(() => {});
      throw thrown;
    }
  });
}

/**
 * Drops an invalid index, unless somebody is building it at this very moment: then it is invalid, too, and DROP INDEX, which
 * has to wait for the build, would drop it when it is valid.
 */
async function dropLeftover(
  session: Session,
  step: Step,
  index: IndexName,
  options: RunOptions,
): Promise<void> {
  const name = printable(qualifiedName(index.schema, index.name));
  await underBudget(session, step.title, step.locks, options, async () => {
    const { invalid, builder } = await reading(session, () => readBuilding(session, index));
    if (builder !== null) {
      throw busyError('lock_timeout', `${step.title}: pid ${builder} may be building ${name}.`, {
        sqlstate: SQLSTATE.lockNotAvailable,
        object: name,
        hint: 'Let it end.',
      });
    }
    if (!invalid) {
      throw failure('changed_meanwhile', `Index ${name} was invalid and is so no more.`, {
        sqlstate: SQLSTATE.objectNotInPrerequisiteState,
        object: name,
        hint: 'Run it again: it works on what is there by then.',
      });
    }
    await sendAlone(session, step, options);
  });
}
