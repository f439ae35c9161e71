import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PassThrough, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Context } from '../../src/cli/context.ts';
import { main } from '../../src/main.ts';

const ROOT = new URL('../../', import.meta.url);
const VERSION = (JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { version: string })
  .version;

/** The executable; it runs what `npm run build` made. */
export const EXECUTABLE = fileURLToPath(new URL('bin/sensordb.js', ROOT));

/** The JSON envelope. */
export interface Envelope {
  readonly schemaVersion: number;
  readonly command: string;
  readonly ok: boolean;
  readonly changed: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: each command has data of its own.
  readonly data: any;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly sqlstate: string | null;
    readonly object: string | null;
  } | null;
}

/** What a run of the command line came to. */
export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Parses stdout as the envelope of `--json`. */
  readonly json: () => Envelope;
}

/** How a run in this process differs from an ordinary one. */
export interface CliOptions {
  /** The database, as SENSORDB_DATABASE_URL. */
  readonly url?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The working directory. */
  readonly cwd?: string;
  /** The clock; that of the machine when absent. */
  readonly now?: Date | string;
  /** Stdout and stderr are terminals of so many columns. */
  readonly terminal?: number;
  /** Stdin is a terminal at which this is typed, and then nothing more. */
  readonly typed?: string | AsyncIterable<Buffer>;
  readonly signal?: AbortSignal;
}

/** Runs a command in this process, from argv to the exit code. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const stdout = collect(options.terminal);
  const stderr = collect(options.terminal);
  const now = options.now === undefined ? null : new Date(options.now);
  const context: Context = {
    version: VERSION,
    cwd: options.cwd ?? process.cwd(),
    env: {
      ...(options.url === undefined ? {} : { SENSORDB_DATABASE_URL: options.url }),
      LANG: 'C.UTF-8',
      ...options.env,
    },
    stdin: stdinOf(options.typed),
    stdout: stdout.stream,
    stderr: stderr.stream,
    now: () => (now === null ? new Date() : now),
    signal: options.signal ?? new AbortController().signal,
  };
  const exitCode = await main(argv, context);
  return resultOf(exitCode, stdout.text(), stderr.text());
}

function resultOf(exitCode: number, stdout: string, stderr: string): CliResult {
  return { exitCode, stdout, stderr, json: () => JSON.parse(stdout) as Envelope };
}

function stdinOf(typed: CliOptions['typed']): Context['stdin'] {
  if (typed === undefined) return Readable.from([]);
  const chunks = typeof typed === 'string' ? [Buffer.from(typed)] : typed;
  return Object.assign(Readable.from(chunks), { isTTY: true });
}

function collect(columns: number | undefined) {
  const stream = new PassThrough();
  // What ora calls on a terminal.
  const terminal = {
    isTTY: true,
    columns,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  };
  if (columns !== undefined) Object.assign(stream, terminal);
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

/** A run in a process of its own. */
export interface CliProcess {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves when the process has ended; the exit code is null when a signal ended it. */
  readonly ended: Promise<Omit<CliResult, 'exitCode'> & { readonly exitCode: number | null }>;
  readonly stderrSoFar: () => string;
}

/** Starts the executable with nothing in its environment but what is given. */
export function spawnCli(
  argv: readonly string[],
  options: Pick<CliOptions, 'url' | 'env'> & { readonly node?: string } = {},
): CliProcess {
  const child = spawn(options.node ?? process.execPath, [EXECUTABLE, ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      LANG: 'C.UTF-8',
      ...(options.url === undefined ? {} : { SENSORDB_DATABASE_URL: options.url }),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString('utf8');
  const ended = new Promise<Awaited<CliProcess['ended']>>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      const { stdout, stderr, json } = resultOf(exitCode ?? -1, text(out), text(err));
      resolve({ exitCode, stdout, stderr, json });
    });
  });
  return {
    pid: child.pid as number,
    kill: (signal) => child.kill(signal),
    ended,
    stderrSoFar: () => text(err),
  };
}
