import { busyError, type ErrorFacts, type SensordbError } from '../cli/errors.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { Drift, Refused } from './drift.ts';
import type { Job } from './repair-jobs.ts';

/** What a run came to. */
export interface RepairResult {
  readonly mended: readonly Drift[];
  readonly refused: readonly Refused[];
  /** Drift that is left since somebody held a lock. */
  readonly blocked: readonly Drift[];
  /** What ended the run before its time, or that something is left for want of a lock. */
  readonly error: SensordbError | null;
}

/** How a job ended. */
export type Ending =
  | { readonly how: 'mended' }
  | { readonly how: 'blocked' | 'refused' | 'failed'; readonly error: SensordbError };

/** Gathers what the jobs came to; `error` is what ended the run before its time. */
export function resultOf(
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

const MOST_NAMES = 10;

function blockedError(jobs: readonly Job[], endings: ReadonlyMap<Job, Ending>): SensordbError | null {
  const blocked = jobs.filter((job) => endings.get(job)?.how === 'blocked');
  const [first] = blocked;
  const ending = first === undefined ? undefined : endings.get(first);
  if (ending === undefined || ending.how === 'mended') return null;
  const { code, message, sqlstate, object } = ending.error.facts;
  const names = [...new Set(blocked.map(({ member }) => member.name))];
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  const all = names.length === 1 ? '' : ` Left are ${names.slice(0, MOST_NAMES).join(', ')}${more}.`;
  return busyError(code, `${message}${all}`, {
    hint: 'What could be done without that lock is done. Let that transaction end, or give more time with --wait, and run it again: it carries on from there.',
    sqlstate: sqlstate ?? undefined,
    object: object ?? undefined,
    cause: ending.error,
  });
}
