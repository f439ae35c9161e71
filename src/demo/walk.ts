import type { Context } from '../cli/context.ts';
import { failure } from '../cli/errors.ts';
import { EXIT, type ExitCode } from '../cli/exit-codes.ts';
import { write } from '../cli/output.ts';
import type { Style } from '../cli/style.ts';

/** Runs a command of sensordb in this process, with variables added to the environment. */
export type RunCommand = (
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
) => Promise<ExitCode>;

/** One stop of the walk: what is about to happen, and the command that does it. */
export interface Stop {
  readonly text: string;
  readonly argv: readonly string[];
}

/** Shows and runs one command; throws when it does not end as it should. */
export async function walkTo(
  stop: Stop,
  context: Context,
  style: Style,
  env: Readonly<Record<string, string>>,
  runCommand: RunCommand,
): Promise<void> {
  const { chalk } = style;
  await write(
    context.stdout,
    `\n${stop.text}\n${chalk.green(chalk.bold('$'))} ${chalk.bold(`sensordb ${stop.argv.join(' ')}`)}\n`,
  );
  const exitCode = await runCommand(stop.argv, env);
  if (context.signal.aborted) throw context.signal.reason;
  if (exitCode !== EXIT.done) {
    throw failure(
      'demo_failed',
      `The demo stops: sensordb ${stop.argv.join(' ')} ended with exit code ${exitCode}.`,
      {
        hint: 'What went wrong is said above.',
      },
    );
  }
}
