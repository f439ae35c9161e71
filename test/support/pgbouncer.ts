import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverAccount, spawnAs } from '../../src/db/embedded/account.ts';
import type { RunningServer } from './postgres.ts';

/** A PgBouncer in front of a test's own server. */
export interface Pooler {
  /** A conninfo URL that leads through it, to the database postgres. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Starts Debian's PgBouncer in a folder that is removed with it. */
export async function startPgBouncer(
  server: RunningServer,
  mode: 'session' | 'transaction' | 'statement',
  poolSize: number,
): Promise<Pooler> {
  const account = await serverAccount();
  const home = await mkdtemp('/tmp/sensordb-pgbouncer-');
  if (account !== null) await chown(home, account.uid, account.gid);
  const port = await freePort();
  const settings = join(home, 'pgbouncer.ini');
  await writeFile(
    settings,
    `[databases]
* = host=${server.host} port=${server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${poolSize}
`,
  );
  const child = spawn('/usr/sbin/pgbouncer', ['-q', settings], { ...spawnAs(account), stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await untilAnswering(port, child);
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function untilAnswering(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    const answers = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ host: '127.0.0.1', port });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.unref();
    });
    if (answers) return;
    await sleep(25);
  }
  throw new Error('PgBouncer did not start.');
}

async function freePort(): Promise<number> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  await new Promise((resolve) => listener.close(resolve));
  return port;
}
