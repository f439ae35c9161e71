import { type Command, CommanderError } from 'commander';
import { commandFirst } from './cli/argv.ts';
import { type Context, processContext } from './cli/context.ts';
import { SensordbError, usageError } from './cli/errors.ts';
import { EXIT, type ExitCode } from './cli/exit-codes.ts';
import type { Invoke } from './cli/invoke.ts';
import { type OutputOptions, showError, showOutcome, toSensordbError } from './cli/output.ts';
import { abortOnSignals } from './cli/signals.ts';
import type { RunCommand } from './demo/walk.ts';
import { buildProgram } from './program.ts';

/** Runs sensordb in this process: installs the signal handlers and returns the exit code. */
export async function run(argv: readonly string[], version: string): Promise<ExitCode> {
  const controller = new AbortController();
  abortOnSignals(controller);
  return await main(argv, processContext(version, controller.signal));
}

/**
 * Turns arguments into output and an exit code; the only place that catches for the user.
 *
 * `argv` is without the interpreter and the script.
 */
export async function main(argv: readonly string[], context: Context): Promise<ExitCode> {
  const state: { exitCode: ExitCode; command: string } = { exitCode: EXIT.done, command: '' };
  const invoke: Invoke = (command, work) => {
    command.action(async () => {
      state.command = commandName(command);
      const options = command.optsWithGlobals();
      const outcome = await work(context, options as never, command.args);
      state.exitCode = outcome.exitCode;
      await showOutcome(outcome, state.command, options, context);
    });
  };
  try {
    const runCommand: RunCommand = (words, env) =>
      main(words, { ...context, env: { ...context.env, ...env } });
    const program = buildProgram(context, invoke, runCommand);
    const words = commandFirst(program, argv);
    state.command = matchedCommand(program, words);
    await program.parseAsync([...words], { from: 'user' });
    return state.exitCode;
  } catch (thrown) {
    const error = explain(thrown, context);
    if (error === null) return EXIT.done;
    await showError(error, state.command, outputOptions(argv), context);
    if (context.env.SENSORDB_DEBUG) context.stderr.write(`${String((thrown as Error).stack)}\n`);
    return error.exitCode;
  }
}

/** Gives the words of a command without the program's name: `partitions ensure`. */
function commandName(command: Command): string {
  const names: string[] = [];
  for (let current: Command | null = command; current?.parent != null; current = current.parent) {
    names.unshift(current.name());
  }
  return names.join(' ');
}

function matchedCommand(program: Command, words: readonly string[]): string {
  let command = program;
  for (const word of words) {
    const next: Command | undefined = command.commands.find((child) => child.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return commandName(command);
}

/** Options were perhaps not parsed when an error came up: what decides its form is read off the words. */
function outputOptions(argv: readonly string[]): OutputOptions {
  return { json: argv.includes('--json'), color: !argv.includes('--no-color') };
}

function explain(thrown: unknown, context: Context): SensordbError | null {
  if (context.signal.aborted && context.signal.reason instanceof SensordbError) return context.signal.reason;
  if (!(thrown instanceof CommanderError)) return toSensordbError(thrown);
  if (thrown.exitCode === 0) return null; // --help and --version have been printed.
  if (thrown.code === 'commander.help') {
    return usageError('missing_command', 'No command was given.', { hint: 'See sensordb --help.' });
  }
  // commander's texts start with "error: " and put the suggestion on a line of its own.
  const [message = '', suggestion] = thrown.message.replace(/^error: /, '').split('\n');
  const hint = suggestion?.replace(/^\(|\)$/g, '') ?? 'See sensordb --help.';
  return usageError('usage', `${message.charAt(0).toUpperCase()}${message.slice(1)}.`, { hint });
}
