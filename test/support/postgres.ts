import { spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, serverAccount } from '../../src/db/embedded/account.ts';
import { findNative, usableBinaries } from '../../src/db/embedded/binaries.ts';
import { initCluster } from '../../src/db/embedded/cluster.ts';
import { logSince, spawnPostmaster, stopPostmaster, untilReady } from '../../src/db/embedded/postmaster.ts';

/** What a server for tests differs in from the plain one. */
export interface ServerOptions {
  /** An unpacked `native` folder of another version; by default that of the run. */
  readonly native?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** The whole pg_hba.conf; by default everyone may do everything. */
  readonly hba?: string;
  /** Listens on 127.0.0.1 at a free port too. */
  readonly listen?: boolean;
  /** Puts files into the data directory, or changes it, before the server starts. */
  readonly prepare?: (dataDirectory: string, account: Account | null) => Promise<void>;
}

/** A server of a test's own. */
export interface RunningServer {
  /** The folder of its socket. */
  readonly host: string;
  readonly port: number;
  readonly user: 'postgres';
  /** A conninfo URL over the socket, to the database postgres. */
  readonly url: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly pid: number;
  readonly native: string;
  /** Shuts it down and removes its data. */
  readonly stop: () => Promise<void>;
  /** Ends it as a power cut would (SIGKILL); the data stay until stop(). */
  readonly kill: () => Promise<void>;
}

// Written by a server that nobody needs once the run is over: no write has to reach the disk.
const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', timezone: 'UTC' };
const ROOMY = { max_connections: '200', max_prepared_transactions: '10', wal_level: 'replica' };

/** Starts a PostgreSQL of a test's own in a folder that is removed with it. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const account = await serverAccount();
  const wanted = options.native ?? process.env.SENSORDB_TEST_PG_NATIVE ?? findNative();
  const { native } = await usableBinaries(wanted, account, () => {});
  const home = await mkdtemp(join(shortTemporary(), 'sensordb-test-'));
  if (account !== null) await chown(home, account.uid, account.gid);
  const place = {
    native,
    dataDirectory: join(home, 'data'),
    socketDirectory: home,
    logFile: join(home, 'log'),
  };
  const port = options.listen ? await freePort() : 5432;
  await initCluster(native, place.dataDirectory, account, ['--no-sync']);
  if (options.hba !== undefined) await writeFile(join(place.dataDirectory, 'pg_hba.conf'), options.hba);
  await options.prepare?.(place.dataDirectory, account);
  const listen_addresses = options.listen ? '127.0.0.1' : '';
  const settings = { ...FAST, ...ROOMY, listen_addresses, ...options.settings };
  const postmaster = await spawnPostmaster({ ...place, port, account, settings });
  const release = guard(postmaster.pid, home);
  if (!(await untilReady(postmaster, place.dataDirectory, 60_000))) {
    const log = await logSince(place.logFile, 0);
    await stopPostmaster(postmaster);
    release();
    throw new Error(`The test server did not start:\n${log}`);
  }
  return {
    ...place,
    host: home,
    port,
    user: 'postgres',
    url: `postgresql://postgres@/postgres?host=${encodeURIComponent(home)}&port=${port}`,
    pid: postmaster.pid,
    stop: async () => {
      await stopPostmaster(postmaster);
      release();
      await rm(home, { recursive: true, force: true });
    },
    kill: async () => {
      postmaster.signal('SIGKILL');
      await postmaster.exitedWithin(10_000);
    },
  };
}

// macOS has a temporary folder so long that a socket's path below it comes near the limit of 103 bytes.
function shortTemporary(): string {
  return tmpdir().length < 60 ? tmpdir() : '/tmp';
}

const GUARD = `
read -r word
if [ "$word" != stopped ]; then
  kill -INT "$1" 2>/dev/null
  i=0
  while kill -0 "$1" 2>/dev/null && [ $i -lt 50 ]; do sleep 0.1; i=$((i + 1)); done
  kill -QUIT "$1" 2>/dev/null
fi
rm -rf "$2"
`;

/**
 * Ends the server and removes its data when this process ends, however it does: the guard's stdin closes then.
 *
 * Gives a function that tells it that the server has been stopped.
 */
function guard(pid: number, home: string): () => void {
  const watcher = spawn('/bin/sh', ['-c', GUARD, 'guard', String(pid), home], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watcher.unref();
  const pipe = watcher.stdin as typeof watcher.stdin & { unref?: () => void };
  pipe.unref?.();
  return () => pipe.end('stopped\n');
}

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}
