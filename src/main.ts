import { type Command, CommanderError } from 'commander';
import { commandFirst } from './cli/argv.ts';
import { type Context, processContext } from './cli/context.ts';
import { SensordbError } from './cli/errors.ts';
import { EXIT, type ExitCode } from './cli/exit-codes.ts';
import type { Invoke } from './cli/invoke.ts';
import { type OutputOptions, showError, showOutcome, toSensordbError } from './cli/output.ts';
import { abortOnSignals } from './cli/signals.ts';
import { commandName, explainUsage } from './cli/usage.ts';
import { maskSecrets } from './db/secrets.ts';
import type { RunCommand } from './demo/walk.ts';
import { buildProgram } from './program.ts';

/** Runs sensordb in this process: installs the signal handlers and returns the exit code. */
export async function run(argv: readonly string[], version: string): Promise<ExitCode> {
  const controller = new AbortController();
  abortOnSignals(controller);
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
  const invoke: Invoke = (command, work) => {
    command.action(async () => {
      const options = command.optsWithGlobals();
      const outcome = await work(context, options as never, command.args);
      state.exitCode = outcome.exitCode;
      await showOutcome(outcome, commandName(command), options, context);
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
    const error = explain(thrown, state.command, context);
    if (error === null) return EXIT.done;
    await showError(error, commandName(state.command), outputOptions(argv), context);
    if (context.env.SENSORDB_DEBUG) {
      context.stderr.write(`${maskSecrets(String((thrown as Error).stack))}\n`);
    }
    return error.exitCode;
  }
}

function matchedCommand(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    const next: Command | undefined = command.commands.find((child) => child.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

/** Options were perhaps not parsed when an error came up: what decides its form is read off the words. */
function outputOptions(argv: readonly string[]): OutputOptions {
  return { json: argv.includes('--json'), color: !argv.includes('--no-color') };
}

function explain(thrown: unknown, command: Command | null, context: Context): SensordbError | null {
  if (context.signal.aborted && context.signal.reason instanceof SensordbError) return context.signal.reason;
  if (!(thrown instanceof CommanderError)) return toSensordbError(thrown);
  return thrown.exitCode === 0 ? null : explainUsage(thrown, command); // 0: --help and --version have been printed.
}
