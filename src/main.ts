import { type Command, CommanderError } from 'commander';
import { commandFirst, followCommands, optionValue } from './cli/argv.ts';
import { type Context, processContext } from './cli/context.ts';
import { SensordbError } from './cli/errors.ts';
import { EXIT, type ExitCode, worstExitCode } from './cli/exit-codes.ts';
import type { FailureForm, Invoke } from './cli/invoke.ts';
import {
  flush,
  type OutputOptions,
  showError,
  showOutcome,
  toSensordbError,
  WarnedError,
  write,
} from './cli/output.ts';
import { abortOnSignals } from './cli/signals.ts';
import { printableLines } from './cli/table.ts';
import { commandName, explainUsage } from './cli/usage.ts';
import { maskSecrets } from './db/secrets.ts';
import { buildProgram } from './program.ts';

/** Runs sensordb in this process: installs the signal handlers and returns the exit code; `exit` ends it at once. */
export async function run(
  argv: readonly string[],
  version: string,
  exit: (code: ExitCode) => void,
): Promise<ExitCode> {
  const controller = new AbortController();
  abortOnSignals(controller, exit);
  // Without a listener an EPIPE (`| head`) would end the process with a stack trace; each write sees its own error.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return await main(argv, processContext(version, controller.signal));
}

/**
 * Turns arguments into output and an exit code; the only place that catches for the user.
 *
 * `argv` is without the interpreter and the script.
 */
export async function main(argv: readonly string[], context: Context): Promise<ExitCode> {
  const state: { exitCode: ExitCode; command: Command | null } = { exitCode: EXIT.done, command: null };
  const forms = new Map<Command | null, FailureForm>();
  const invoke: Invoke = (command, work, failureForm) => {
    if (failureForm !== undefined) forms.set(command, failureForm);
    command.action(async () => {
      const options = command.optsWithGlobals();
      const outcome = await work(context, options as never, command.args);
      state.exitCode = outcome.exitCode;
      await showOutcome(outcome, commandName(command), options, context);
    });
  };
  try {
    const program = buildProgram(context, argv, invoke, main);
    const words = commandFirst(program, argv);
    state.command = followCommands(program, words).command;
    await program.parseAsync([...words], { from: 'user' }).catch(acceptHelp);
    // commander writes help and waits for nothing.
    await flush(context.stdout);
    return state.exitCode;
  } catch (thrown) {
    return await report(thrown, { command: state.command, form: forms.get(state.command) }, argv, context);
  }
}

/** Lets pass what commander throws once it has printed what `--help` or `--version` asks for. */
function acceptHelp(thrown: unknown): void {
  if (!(thrown instanceof CommanderError) || thrown.exitCode !== 0) throw thrown;
}

/** Shows what ended a command, in the command's own form where it has one; gives the exit code. */
async function report(
  thrown: unknown,
  { command, form }: { readonly command: Command | null; readonly form: FailureForm | undefined },
  argv: readonly string[],
  context: Context,
): Promise<ExitCode> {
  const { cause, warnings } = thrown instanceof WarnedError ? thrown : { cause: thrown, warnings: [] };
  const error = explain(cause, command, context);
  const options = outputOptions(argv);
  const name = commandName(command);
  try {
    const own = options.json === true ? null : ((await form?.(error, argv, context)) ?? null);
    if (own !== null) await write(context.stdout, own.text);
    await showError(error, warnings, name, options, context);
    if (context.env.SENSORDB_DEBUG) {
      await write(context.stderr, `${printableLines(maskSecrets(String((cause as Error).stack)))}\n`);
    }
    return own?.exitCode ?? error.exitCode;
  } catch (lost) {
    // Stdout takes nothing, and with --json the error was to go there: what stderr does not take is lost.
    const errors = error.facts.code === 'output_lost' ? [error] : [error, toSensordbError(lost)];
    for (const one of errors) {
      await showError(one, [], name, { ...options, json: false }, context).catch(() => {});
    }
    return worstExitCode([error.exitCode, EXIT.failed]);
  }
}

/** Options were perhaps not parsed when an error came up: what decides its form is read off the words. */
function outputOptions(argv: readonly string[]): OutputOptions {
  const json = argv.includes('--json') || optionValue(argv, '--format') === 'json';
  return { json, color: !argv.includes('--no-color') };
}

function explain(thrown: unknown, command: Command | null, context: Context): SensordbError {
  if (context.signal.aborted && context.signal.reason instanceof SensordbError) return context.signal.reason;
  return thrown instanceof CommanderError ? explainUsage(thrown, command) : toSensordbError(thrown);
}
