import { busyError, failure, refusedError, SensordbError } from '../cli/errors.ts';

/**
 * The SQLSTATEs that the code leans on, by their condition names.
 *
 * Source: PostgreSQL documentation, appendix A; where a meaning is narrower here, the place that uses it says so.
 */
export const SQLSTATE = {
  checkViolation: '23514',
  /** Also: the table to be attached lacks a constraint of its parent. */
  datatypeMismatch: '42804',
  duplicateObject: '42710',
  duplicateTable: '42P07',
  deadlockDetected: '40P01',
  dependentObjectsStillExist: '2BP01',
  exclusionViolation: '23P01',
  foreignKeyViolation: '23503',
  insufficientPrivilege: '42501',
  invalidObjectDefinition: '42P17',
  invalidSchemaName: '3F000',
  lockNotAvailable: '55P03',
  numericValueOutOfRange: '22003',
  objectNotInPrerequisiteState: '55000',
  outOfMemory: '53200',
  queryCanceled: '57014',
  readOnlyTransaction: '25006',
  /** Ours: raised by the function sensordb.refuse. */
  refused: 'SDB06',
  undefinedColumn: '42703',
  undefinedFunction: '42883',
  undefinedTable: '42P01',
  uniqueViolation: '23505',
} as const;

/** The parts of a server error that are read here; postgres.js names them as the protocol does. */
interface ServerError extends Error {
  readonly code: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly table_name?: string;
  readonly constraint_name?: string;
  readonly position?: string;
}

/**
 * Tells whether something thrown is an error that the server reported.
 *
 * By its fields, not by its name: postgres.js names the error after its class, whose name does not survive minifying.
 */
export function isServerError(thrown: unknown): thrown is ServerError {
  return thrown instanceof Error && 'code' in thrown && 'severity' in thrown;
}

/** Gives the SQLSTATE of something thrown, or null when the server did not report it. */
export function sqlstateOf(thrown: unknown): string | null {
  if (isServerError(thrown)) return thrown.code;
  return thrown instanceof SensordbError ? thrown.facts.sqlstate : null;
}

/** Turns a server error into one for the user: what was being done, what the server said, what to do next. */
export function explainServerError(thrown: unknown, doing: string, object?: string): unknown {
  if (!isServerError(thrown)) return thrown;
  const details = { sqlstate: thrown.code, object, cause: thrown };
  const said = thrown.detail === undefined ? thrown.message : `${thrown.message} (${thrown.detail})`;
  switch (thrown.code) {
    case SQLSTATE.insufficientPrivilege:
      return failure('insufficient_privilege', `${doing}: ${said}.`, {
        ...details,
        hint: 'Run it as the owner of the table, or have the missing privilege granted.',
      });
    case SQLSTATE.readOnlyTransaction:
      return failure('read_only', `${doing}: ${said}.`, {
        ...details,
        hint: 'The session is read-only (default_transaction_read_only, or a standby): connect to the primary.',
      });
    case SQLSTATE.lockNotAvailable:
    case SQLSTATE.deadlockDetected:
      return busyError('lock_timeout', `${doing}: ${said}.`, { ...details, hint: 'Try again later.' });
    case SQLSTATE.outOfMemory:
      return failure('out_of_memory', `${doing}: ${said}.`, {
        ...details,
        hint: thrown.hint ?? 'Raise max_locks_per_transaction.',
      });
    case SQLSTATE.refused:
      return refusedError(thrown.constraint_name ?? 'refused', thrown.message, {
        ...details,
        object: thrown.table_name ?? object,
        hint: thrown.hint,
      });
    default:
      return failure('sql_error', `${doing}: ${said}.`, { ...details, hint: thrown.hint });
  }
}
