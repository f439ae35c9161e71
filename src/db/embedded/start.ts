import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { busyError, failure } from '../../cli/errors.ts';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';
import { isAlive } from './cluster.ts';
import {
  logLength,
  logSince,
  type Postmaster,
  readPostmasterFile,
  spawnPostmaster,
  stopPostmaster,
  untilReady,
} from './postmaster.ts';
import { answers, type Place } from './session.ts';
import { PORT, socketDirectory } from './sockets.ts';

/** What a start needs to know. */
export interface StartRequest {
  readonly directory: string;
  readonly binaries: Binaries;
  readonly account: Account | null;
  readonly onStep: (text: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** A server that answers; `postmaster` is null where it was running already. */
export interface Started {
  readonly place: Place;
  readonly postmaster: Postmaster | null;
  readonly logFile: string;
}

// A crash recovery, or a shutdown of the one before, may have to be waited for.
const PATIENCE_MS = 60_000;

/** Joins the server that runs in the directory, or starts one; the server's own lock file decides a race. */
export async function startOrReuse(request: StartRequest): Promise<Started> {
  const logFile = join(request.directory, 'server.log');
  const deadline = Date.now() + PATIENCE_MS;
  let told = false;
  while (Date.now() < deadline) {
    request.signal?.throwIfAborted();
    const running = await findRunning(request.directory);
    if (typeof running !== 'string') return { place: running, postmaster: null, logFile };
    if (running === 'silent') {
      if (!told) request.onStep(`starting PostgreSQL ${request.binaries.version} in ${request.directory}`);
      told = true;
      const started = await tryStart(request, logFile);
      if (started !== null) return started;
    }
    await sleep(200);
  }
  const pid = (await readPostmasterFile(request.directory))?.pid;
  throw busyError(
    'embedded_busy',
    `Another process has ${request.directory}, and its server does not answer.`,
    {
      hint: `Look into ${logFile}. If process ${pid ?? '(unknown)'} is no PostgreSQL, remove ${request.directory}/postmaster.pid.`,
      object: request.directory,
    },
  );
}

/** Says where the directory's server answers; `busy` while it starts or stops, `silent` when there is none. */
async function findRunning(directory: string): Promise<Place | 'busy' | 'silent'> {
  const file = await readPostmasterFile(directory);
  if (file === null || !isAlive(file.pid)) return 'silent';
  if (file.status !== 'ready') return 'busy';
  const place = { host: file.socketDirectory, port: file.port };
  return (await answers(place, directory)) ? place : 'silent';
}

/** Starts a server; null when another process has, or still has, the directory. */
async function tryStart(request: StartRequest, logFile: string): Promise<Started | null> {
  const { directory, account, signal } = request;
  const length = await logLength(logFile);
  const host = await socketDirectory(directory, account);
  const postmaster = await spawnPostmaster({
    native: request.binaries.native,
    dataDirectory: directory,
    socketDirectory: host,
    port: PORT,
    logFile,
    account,
    settings: { listen_addresses: '', unix_socket_permissions: '0700' },
  });
  if (await untilReady(postmaster, directory, PATIENCE_MS, signal)) {
    return { place: { host, port: PORT }, postmaster, logFile };
  }
  if (!postmaster.hasExited()) await stopPostmaster(postmaster);
  signal?.throwIfAborted();
  const said = await logSince(logFile, length);
  // The first is a server that runs, the second the children of one that was killed, not gone yet (18).
  if (/lock file "[^"]*" already exists|is still in use/.test(said)) return null;
  throw failure('embedded_start', `PostgreSQL ${request.binaries.version} did not start in ${directory}.`, {
    hint: `The end of ${logFile}:\n${said.trim().split('\n').slice(-8).join('\n')}`,
    object: directory,
  });
}
