import { EXIT, type ExitCode } from './exit-codes.ts';

/** What the user is told of a failure; the `error` of the JSON envelope has these very keys. */
export interface ErrorFacts {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly sqlstate: string | null;
  readonly object: string | null;
}

interface SensordbErrorInit {
  readonly exitCode: ExitCode;
  /** snake_case, stable: scripts match on it. */
  readonly code: string;
  /** One sentence: what happened, to which object. Never a password. */
  readonly message: string;
  /** What to do next. */
  readonly hint?: string | undefined;
  readonly sqlstate?: string | undefined;
  readonly object?: string | undefined;
  readonly cause?: unknown;
}

/**
 * The one error class: everything thrown on purpose is one of these.
 *
 * `main.ts` is the only place that turns it into text and an exit code.
 */
export class SensordbError extends Error {
  readonly exitCode: ExitCode;
  readonly facts: ErrorFacts;

  constructor(init: SensordbErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'SensordbError';
    this.exitCode = init.exitCode;
    this.facts = {
      code: init.code,
      message: init.message,
      hint: init.hint ?? null,
      sqlstate: init.sqlstate ?? null,
      object: init.object ?? null,
    };
  }
}

type ErrorDetails = Omit<SensordbErrorInit, 'exitCode' | 'code' | 'message'>;

/** Bad input or configuration: exit 2, nothing was changed. */
export function usageError(code: string, message: string, details: ErrorDetails = {}): SensordbError {
  return new SensordbError({ exitCode: EXIT.usage, code, message, ...details });
}

/** No server, or the login was refused: exit 4. */
export function connectionError(code: string, message: string, details: ErrorDetails = {}): SensordbError {
  return new SensordbError({ exitCode: EXIT.connection, code, message, ...details });
}

/** A statement or a precondition failed: exit 1. */
export function failure(code: string, message: string, details: ErrorDetails = {}): SensordbError {
  return new SensordbError({ exitCode: EXIT.failed, code, message, ...details });
}

/** Blocked by somebody else, worth another try: exit 5. */
export function busyError(code: string, message: string, details: ErrorDetails = {}): SensordbError {
  return new SensordbError({ exitCode: EXIT.busy, code, message, ...details });
}

/** Refused for safety: it would destroy something without consent, or a gate holds it back: exit 6. */
export function refusedError(code: string, message: string, details: ErrorDetails = {}): SensordbError {
  return new SensordbError({ exitCode: EXIT.refused, code, message, ...details });
}
