import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { SensordbError } from './errors.ts';
import type { ExitCode } from './exit-codes.ts';
import type { Outcome } from './output.ts';

/**
 * What a failure looks like where a command's output has a form of its own: what goes to stdout, and the exit code.
 *
 * It is given the words as they were typed, since they were perhaps what could not be parsed; null: as for every command.
 */
export type FailureForm = (
  error: SensordbError,
  argv: readonly string[],
  context: Context,
) => Promise<{ readonly text: string; readonly exitCode: ExitCode } | null>;

/** Runs one command's work with its options and operands; `main.ts` supplies it and shows what comes back. */
export type Invoke = <Options extends object>(
  command: Command,
  work: (context: Context, options: Options, operands: readonly string[]) => Promise<Outcome>,
  failureForm?: FailureForm,
) => void;

/** A command, and what declares its verbs, or its options where it has none. */
export interface Group {
  readonly group: Command;
  readonly declareVerbs: (group: Command, invoke: Invoke) => void;
}
