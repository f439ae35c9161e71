import type { Context } from '../cli/context.ts';
import { failure } from '../cli/errors.ts';
import { EXIT, type ExitCode } from '../cli/exit-codes.ts';
import { write } from '../cli/output.ts';
import type { Stage } from './stage.ts';

/** Runs a command of sensordb in this process, in the world it is given. */
export type RunCommand = (argv: readonly string[], context: Context) => Promise<ExitCode>;

/** One stop of the walk: what is about to happen, and the command that does it. */
export interface Stop {
  readonly text: string;
  readonly argv: readonly string[];
}

/** Shows and runs one command; throws when it does not end as it should. */
export async function walkTo(stop: Stop, stage: Stage, runCommand: RunCommand): Promise<void> {
  const { context, style, flags } = stage;
  const { chalk } = style;
  const line = `sensordb ${stop.argv.join(' ')}`;
  await write(context.stdout, `\n${stop.text}\n${chalk.green(chalk.bold('$'))} ${chalk.bold(line)}\n`);
  const exitCode = await runCommand([...stop.argv, ...flags], context);
  if (context.signal.aborted) throw context.signal.reason;
  if (exitCode !== EXIT.done) {
    throw failure('demo_failed', `The demo stops: ${line} ended with exit code ${exitCode}.`, {
      hint: 'What went wrong is said above.',
    });
  }
}
