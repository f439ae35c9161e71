import { type ErrorFacts, SensordbError } from '../cli/errors.ts';
import { EXIT, type ExitCode, worstExitCode } from '../cli/exit-codes.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Refusal } from './gate.ts';

/** The reason of a leaf that somebody's lock was in the way of: another try may succeed. */
export const BLOCKED = 'blocked';

/** The reason of a leaf that the role has not the right to touch: a failure, not a refusal for safety. */
export const NOT_PERMITTED = 'insufficient_privilege';

/**
 * Turns what ended the work on one leaf into a refusal, with which the run goes on to the next one.
 *
 * Null for what is no matter of this leaf: a lost connection, a missing privilege, an interruption.
 */
export function refusalOf(name: string, thrown: unknown): Refusal | null {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const facts = thrown instanceof SensordbError ? thrown.facts : null;
  const hint = facts?.hint ?? 'Run it again.';
  if (thrown instanceof SensordbError && thrown.exitCode === EXIT.busy) {
    return { name, reason: BLOCKED, message, hint };
  }
  switch (sqlstateOf(thrown)) {
    case SQLSTATE.refused:
      return { name, reason: facts?.code ?? 'refused', message, hint };
    case SQLSTATE.dependentObjectsStillExist:
      return {
        name,
        reason: 'depended_on',
        message,
        hint: 'sensordb never uses CASCADE. Drop what depends on it, or have it read the partitioned table instead.',
      };
    case SQLSTATE.foreignKeyViolation:
      return {
        name,
        reason: 'referenced_rows',
        message,
        hint: 'Delete the rows that reference it, or drop the foreign key; then run it again.',
      };
    case SQLSTATE.undefinedTable:
      return { name, reason: 'changed', message, hint: 'Somebody was faster. Look at it, and run it again.' };
    default:
      return null;
  }
}

/** Gives the exit code of a refusal: 5 for what was blocked, 1 for what the role may not do, 6 otherwise. */
export function exitCodeOf({ reason }: Refusal): ExitCode {
  if (reason === BLOCKED) return EXIT.busy;
  return reason === NOT_PERMITTED ? EXIT.failed : EXIT.refused;
}

/** Makes one error of refusals: that of the first which decides the exit code; null when there are none. */
export function refusalError(refused: readonly Refusal[]): ErrorFacts | null {
  const worst = worstExitCode(refused.map(exitCodeOf));
  const first = refused.find((refusal) => exitCodeOf(refusal) === worst);
  if (first === undefined) return null;
  const others = new Set(refused.map(({ name }) => name)).size - 1;
  const more =
    others === 0
      ? ''
      : others === 1
        ? ' 1 other leaf was left, too.'
        : ` ${others} other leaves were left, too.`;
  return {
    code: first.reason,
    message: `${first.message}${more}`,
    hint: first.hint,
    sqlstate: null,
    object: first.name,
  };
}
