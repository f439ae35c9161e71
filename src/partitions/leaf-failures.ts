import { SensordbError } from '../cli/errors.ts';
import { EXIT, type ExitCode } from '../cli/exit-codes.ts';
import type { Warning } from '../cli/output.ts';
import { isServerError, SQLSTATE } from '../db/sqlstate.ts';
import type { Refusal } from './gate.ts';
import type { LeafState } from './leaf-facts.ts';
import type { LeafTask } from './leaf-tasks.ts';
import { removalOf, type Undo } from './leaf-undo.ts';
import { GUARD } from './read.ts';
import { BLOCKED, exitCodeOf, refusalOf } from './refusals.ts';

/** A leaf whose work was not done, or not to its end, and the exit code that this asks for. */
export interface Failure extends Refusal {
  readonly exitCode: ExitCode;
}

/**
 * Tells what a failed task means: blocked, refused, a conflict, or a failure.
 *
 * `state` is what the leaf is now; `standing` is what refuses rows and could not be removed.
 */
export function failureOf(
  task: LeafTask,
  error: SensordbError,
  state: LeafState | null,
  standing: readonly Undo[],
): Failure {
  const { name } = task.leaf;
  const { message, hint } = error.facts;
  const halfway = describeHalfway(task, state);
  return {
    name,
    message: `${message}${halfway}`,
    hint: hint ?? 'Run this again.',
    ...verdictOf(task, error),
    ...(halfway === ''
      ? {}
      : { hint: 'Let what stands in the way end, or give more time with --wait, and run this again.' }),
    ...(standing.length === 0
      ? {}
      : {
          hint: `A CHECK that refuses rows is left: run this again, or remove it: ${standing.map(removalOf).join('; ')}.`,
        }),
  };
}

type Verdict = Pick<Failure, 'reason' | 'exitCode'> & { readonly hint?: string };

function verdictOf({ kind, leaf }: LeafTask, error: SensordbError): Verdict {
  const { exitCode, facts } = error;
  const conflict = kind === 'attach' ? conflictOf(leaf, facts.sqlstate) : null;
  if (conflict !== null) return conflict;
  const shared = refusalOf(leaf.name, error);
  if (shared !== null) return { reason: shared.reason, hint: shared.hint, exitCode: exitCodeOf(shared) };
  switch (facts.sqlstate) {
    case SQLSTATE.checkViolation:
      return checkViolation(kind, error);
    case SQLSTATE.duplicateTable:
    case SQLSTATE.duplicateObject:
      return {
        reason: 'name_taken',
        exitCode,
        hint: `Rename what is there, then run this again; or choose another place: sensordb partitions detach ${leaf.relation} --into-schema SCHEMA.`,
      };
    case SQLSTATE.objectNotInPrerequisiteState:
      // Another leaf is "detach pending", or there is a DEFAULT partition by now: the next try works on what is there.
      return kind === 'detach'
        ? { reason: BLOCKED, exitCode: EXIT.busy, hint: 'Run this again: it works on what is there by then.' }
        : { reason: facts.code, exitCode };
    default:
      return { reason: facts.code, exitCode };
  }
}

/** What stands against an attach that only ATTACH itself finds; null for what is no conflict. */
function conflictOf({ relation }: LeafTask['leaf'], sqlstate: string | null): Verdict | null {
  const conflict = (reason: string, hint: string): Verdict => ({ reason, hint, exitCode: EXIT.no });
  switch (sqlstate) {
    case SQLSTATE.invalidObjectDefinition:
      return conflict('overlap', 'Somebody else made a leaf of that time. See: sensordb partitions list.');
    case SQLSTATE.duplicateTable:
    case SQLSTATE.duplicateObject:
      return conflict('name_taken', 'Rename what has the name where the leaf goes, then run this again.');
    case SQLSTATE.foreignKeyViolation:
    case SQLSTATE.uniqueViolation:
    case SQLSTATE.exclusionViolation:
      return conflict(
        'rows_violate_constraint',
        `Rows of ${relation} break a constraint of the table: correct or delete them, then run this again.`,
      );
    case SQLSTATE.datatypeMismatch:
      return conflict(
        'constraints_differ',
        `A partition has the CHECK constraints of its parent: ALTER TABLE ${relation} ADD CONSTRAINT …, then run this again.`,
      );
    default:
      return null;
  }
}

const ROWS_OUTSIDE = 'rows_outside_bounds';

/** A violated CHECK has a name; the constraint of a DEFAULT partition has none, but for the guard on it. */
function checkViolation(kind: LeafTask['kind'], error: SensordbError): Verdict {
  const { cause } = error;
  const name = isServerError(cause) ? cause.constraint_name : undefined;
  return name !== undefined && !name.startsWith(GUARD)
    ? {
        reason: ROWS_OUTSIDE,
        exitCode: kind === 'attach' ? EXIT.no : EXIT.refused,
        hint: 'Rows that its bounds exclude came in while it was detached: move or delete them, then run this again.',
      }
    : {
        reason: 'rows_in_default',
        exitCode: EXIT.no,
        hint: 'Rows of its period came into DEFAULT: run this again to see which.',
      };
}

function describeHalfway({ kind, leaf }: LeafTask, state: LeafState | null): string {
  if (state === null || state === leaf.state || kind === 'attach') return '';
  if (state === 'detach_pending') {
    return ' It is half detached: its rows are out of the table, its bounds are still taken; the next run of detach completes it.';
  }
  return state === 'detached'
    ? ' It is detached, but not complete: the next run of detach completes it.'
    : '';
}

/**
 * Tells whether a failure is none of the run: of a leaf that was detached before and that nobody named.
 *
 * Rows that somebody put into it stay there until he takes them away: no run after that would end well.
 */
export function isNobodysWish({ kind, isSelected }: LeafTask, { reason }: Failure): boolean {
  return kind === 'complete' && !isSelected && reason === ROWS_OUTSIDE;
}

/** Warns of a detached leaf that could not be completed. */
export function describeIncomplete({ name, message, hint }: Failure): Warning {
  return {
    code: 'leaf_incomplete',
    message: `${name}, detached before, lacks a valid CHECK on its bounds: ${message} ${hint}`,
  };
}

/** Makes the failure of a leaf that the plan refused. */
export function refusedByPlan(refusal: Refusal): Failure {
  return { ...refusal, exitCode: EXIT.refused };
}

/** Makes the error of a run out of the first of its worst failures; null without any. */
export function worstFailure(failures: readonly Failure[], code: ExitCode): SensordbError | null {
  const first = failures.find(({ exitCode }) => exitCode === code);
  if (first === undefined || code === EXIT.no) return null;
  const { name, reason, message, hint, exitCode } = first;
  const others = failures.length - 1;
  const more = others === 0 ? '' : ` And ${others} more: see refused.`;
  return new SensordbError({ exitCode, code: reason, message: `${message}${more}`, hint, object: name });
}
