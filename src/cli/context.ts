import type { Readable, Writable } from 'node:stream';

/** A stream that may be a terminal. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** The world as a command sees it; tests hand in another one. */
export interface Context {
  /** Version of sensordb. */
  readonly version: string;
  /** Paths that the user names start here. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** The one clock of all planning. A command reads it once, so that a run over midnight plans one day. */
  readonly now: () => Date;
  /** Aborts with an `interruption` as its reason when the user or the system asks to stop. */
  readonly signal: AbortSignal;
}

/** Makes the context of the real process. */
export function processContext(version: string, signal: AbortSignal): Context {
  return {
    version,
    cwd: process.cwd(),
    env: process.env,
    // Node makes each of these streams when it is first asked for, and most runs ask for one.
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    now: () => new Date(),
    signal,
  };
}
