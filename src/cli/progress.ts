import type { Context } from './context.ts';
import type { OutputOptions } from './output.ts';
import { printable } from './table.ts';

/** Tells the user what a running command is at: a spinner on a terminal, a line every 30 s off it. */
export interface Progress {
  readonly update: (text: string) => void;
  readonly stop: () => void;
}

/** How often a run without a terminal says that it is alive, in milliseconds. */
const HEARTBEAT_MS = 30_000;

/** Starts the progress display of one command on stderr; `--quiet` has none. */
export async function startProgress(
  text: string,
  options: OutputOptions,
  context: Context,
): Promise<Progress> {
  if (options.quiet === true) return { update: () => {}, stop: () => {} };
  const { stderr } = context;
  if (maySpin(context)) return startSpinner(text, context);
  let latest = text;
  const heartbeat = setInterval(() => stderr.write(`${printable(latest)}\n`), HEARTBEAT_MS);
  heartbeat.unref();
  return {
    update: (next) => {
      latest = next;
    },
    stop: () => clearInterval(heartbeat),
  };
}

/** Tells whether a line can be drawn over again: on a terminal that knows its size, and not in a CI job that pretends to be one. */
function maySpin({ stderr, env }: Context): boolean {
  return stderr.isTTY === true && (stderr.columns ?? 0) > 0 && env.TERM !== 'dumb' && !env.CI;
}

async function startSpinner(text: string, context: Context): Promise<Progress> {
  const { default: ora } = await import('ora');
  const fitting = (told: string): string => {
    const line = printable(told);
    const room = (context.stderr.columns ?? 100) - 4;
    return line.length > room ? `${line.slice(0, room - 1)}…` : line;
  };
  // discardStdin would put the terminal into raw mode and swallow the Ctrl-C that should reach us as SIGINT.
  const spinner = ora({
    text: fitting(text),
    stream: context.stderr as NodeJS.WriteStream,
    // Left to itself ora would ask the process's own environment.
    isEnabled: true,
    discardStdin: false,
    hideCursor: false,
  });
  spinner.start();
  return {
    update: (next) => {
      spinner.text = fitting(next);
    },
    stop: () => {
      spinner.stop();
    },
  };
}
