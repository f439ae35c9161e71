import { type ChildProcess, spawn } from 'node:child_process';
import { constants, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, spawnAs } from './account.ts';

/** Where a server is to run, and with which settings on top of its postgresql.conf. */
export interface PostmasterOptions {
  readonly native: string;
  readonly dataDirectory: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly logFile: string;
  readonly account: Account | null;
  readonly settings: Readonly<Record<string, string>>;
}

/** A server process of ours. */
export interface Postmaster {
  readonly pid: number;
  /** Tells whether the process has ended. */
  readonly hasExited: () => boolean;
  /** Waits for the process to end; false when it has not by then. */
  readonly exitedWithin: (milliseconds: number) => Promise<boolean>;
  readonly signal: (name: NodeJS.Signals) => void;
}

/** What a server writes into its postmaster.pid. */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  readonly socketDirectory: string;
  readonly status: string;
}

/**
 * Starts a server process without waiting for it to be ready.
 *
 * postgres is started directly and not by pg_ctl, which passes its paths through a shell between double
 * quotes: a `$` or a backtick in one would be run. It gets a session of its own, so that Ctrl-C on the
 * terminal reaches the caller only.
 */
export async function spawnPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  // Root must not follow a link that the owner of the data has put there.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  const log = await open(options.logFile, flags, 0o600);
  try {
    if (options.account !== null) await log.chown(options.account.uid, options.account.gid);
    const child = spawn(join(options.native, 'bin', 'postgres'), serverArguments(options), {
      ...spawnAs(options.account),
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    child.unref();
    return handle(child);
  } finally {
    await log.close();
  }
}

function serverArguments(options: PostmasterOptions): readonly string[] {
  // unix_socket_directories is a comma-separated list: only double quotes keep a path with a comma whole.
  const sockets = `"${options.socketDirectory.replaceAll('"', '""')}"`;
  const settings = { port: String(options.port), unix_socket_directories: sockets, ...options.settings };
  const switches = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return ['-D', options.dataDirectory, ...switches];
}

function handle(child: ChildProcess): Postmaster {
  const hasExited = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? 0,
    hasExited,
    exitedWithin: async (milliseconds) => {
      const deadline = Date.now() + milliseconds;
      while (!hasExited() && Date.now() < deadline) await sleep(20);
      return hasExited();
    },
    signal: (name) => {
      child.kill(name);
    },
  };
}

/** Reads postmaster.pid; null where there is none, or it is not whole yet. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | null> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  // The lines are those of src/include/utils/pidfile.h, the same in 14 to 18.
  const [pid, , , port, socketDirectory, , , status] = text.split('\n');
  if (pid === undefined || status === undefined) return null;
  return {
    pid: Number(pid),
    port: Number(port),
    socketDirectory: socketDirectory ?? '',
    status: status.trim(),
  };
}

/** Waits until the server accepts connections; false when it has ended, the time is over, or on abort. */
export async function untilReady(
  postmaster: Postmaster,
  dataDirectory: string,
  milliseconds: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (Date.now() < deadline && !postmaster.hasExited() && !signal?.aborted) {
    const file = await readPostmasterFile(dataDirectory);
    if (file?.pid === postmaster.pid && file.status === 'ready') return true;
    await sleep(20);
  }
  return false;
}

/** Ends a server: a fast shutdown, and an immediate one where that takes more than a minute. */
export async function stopPostmaster(postmaster: Postmaster): Promise<void> {
  postmaster.signal('SIGINT');
  if (await postmaster.exitedWithin(60_000)) return;
  postmaster.signal('SIGQUIT');
  await postmaster.exitedWithin(10_000);
}

/** Gives the length of a log, to read later what was added to it. */
export async function logLength(logFile: string): Promise<number> {
  return stat(logFile).then(
    (facts) => facts.size,
    () => 0,
  );
}

/** Reads what a log has got since it had that length. */
export async function logSince(logFile: string, length: number): Promise<string> {
  const bytes = await readFile(logFile).catch(() => Buffer.alloc(0));
  return bytes.subarray(length).toString('utf8');
}
