import type { Context } from './context.ts';
import { type ErrorFacts, failure, SensordbError } from './errors.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type Style, styleOf } from './style.ts';
import { printable, printableLines } from './table.ts';

/** Something the user should know that does not change the exit code. */
export interface Warning {
  readonly code: string;
  readonly message: string;
}

/** What a command hands back: the facts, once, and two ways to show them to a person or a pipe. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** Something other than the tool's own bookkeeping was committed. */
  readonly changed: boolean;
  /** The `data` of the JSON envelope. */
  readonly data: Readonly<Record<string, unknown>>;
  readonly warnings: readonly Warning[];
  /** Null on exits 0 and 3. */
  readonly error: ErrorFacts | null;
  /** The text is for a program or a file: it is printed with `--quiet`, too. */
  readonly isDocument?: boolean;
  /** The same facts as text: for a terminal, or as tab-separated lines. */
  readonly render: (style: Style) => string | Promise<string>;
}

/** The global options that decide how a command shows its outcome. */
export interface OutputOptions {
  readonly json?: boolean;
  /** Where a command has formats of its own; `json` means the same as `--json`. */
  readonly format?: string;
  readonly quiet?: boolean;
  readonly color?: boolean;
}

/** Version of the JSON envelope and of the keys that are fixed in it. */
const SCHEMA_VERSION = 1;

/** Shows an outcome: data on stdout, warnings and errors on stderr; with `--json` the envelope alone on stdout. */
export async function showOutcome(
  outcome: Outcome,
  command: string,
  options: OutputOptions,
  context: Context,
): Promise<void> {
  if (options.json === true || options.format === 'json') {
    await write(context.stdout, `${envelope(command, outcome)}\n`);
    return;
  }
  if (options.quiet !== true || outcome.exitCode !== EXIT.done || outcome.isDocument === true) {
    const style = await styleOf(context.stdout, context, options.color !== false);
    await write(context.stdout, await outcome.render(style));
  }
  const style = await styleOf(context.stderr, context, options.color !== false);
  if (options.quiet !== true || outcome.exitCode !== EXIT.done) {
    for (const warning of outcome.warnings) {
      await write(context.stderr, `${style.chalk.yellow('warning:')} ${printableLines(warning.message)}\n`);
    }
  }
  if (outcome.error !== null) await write(context.stderr, errorText(outcome.error, style));
}

/** What ended a command before it had an outcome, with the warnings that had come up by then. */
export class WarnedError extends Error {
  readonly warnings: readonly Warning[];

  constructor(cause: unknown, warnings: readonly Warning[]) {
    super('A command ended after warnings.', { cause });
    this.name = 'WarnedError';
    this.warnings = warnings;
  }
}

/** Shows an error that ended a command before it had an outcome. */
export async function showError(
  error: SensordbError,
  warnings: readonly Warning[],
  command: string,
  options: OutputOptions,
  context: Context,
): Promise<void> {
  const outcome: Outcome = {
    exitCode: error.exitCode,
    changed: false,
    data: {},
    warnings,
    error: error.facts,
    render: () => '',
  };
  await showOutcome(outcome, command, options, context);
}

function envelope(command: string, outcome: Outcome): string {
  const { exitCode, changed, data, warnings, error } = outcome;
  const ok = exitCode === EXIT.done;
  return JSON.stringify({ schemaVersion: SCHEMA_VERSION, command, ok, changed, data, warnings, error });
}

function errorText(error: ErrorFacts, style: Style): string {
  const sqlstate = error.sqlstate === null ? '' : style.chalk.dim(` [${printable(error.sqlstate)}]`);
  const hint = error.hint === null ? '' : `${style.chalk.cyan('hint:')} ${printableLines(error.hint)}\n`;
  return `${style.chalk.red('error:')} ${printableLines(error.message)}${sqlstate}\n${hint}`;
}

/** Writes to a stream and waits until it is through; a reader that has gone away (`| head`) is no failure. */
export function write(stream: Context['stdout'], text: string): Promise<void> {
  return text === '' ? Promise.resolve() : flush(stream, text);
}

/** Waits until all that was written to a stream is through, by whomever; fails as `write` does. */
export function flush(stream: Context['stdout'], text = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      // After the first write that failed, all the others fail with ERR_STREAM_DESTROYED: that one has the reason.
      const reason = stream.errored ?? error;
      if (reason == null || (reason as NodeJS.ErrnoException).code === 'EPIPE') resolve();
      else reject(failure('output_lost', `The output could not be written: ${reason.message}.`));
    });
  });
}

/** Turns anything thrown into an error for the user; what is not one of ours is a defect, and says so. */
export function toSensordbError(thrown: unknown): SensordbError {
  if (thrown instanceof SensordbError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new SensordbError({
    exitCode: EXIT.failed,
    code: 'internal_error',
    message: `Unexpected: ${message}`,
    hint: 'This is a defect of sensordb. Set SENSORDB_DEBUG=1 to see where it came from, and report it.',
    cause: thrown,
  });
}
