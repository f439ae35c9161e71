import { chown, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { failure, usageError } from '../../cli/errors.ts';
import { type Account, canEnter, isRoot, run } from './account.ts';
import { makeReadable } from './binaries.ts';

/** What there is in the directory before anything is done to it. */
export type DirectoryState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'cluster'; readonly major: number; readonly uid: number; readonly gid: number };

/** Gives the directory that an embedded server lives in when none is named. */
export function defaultDirectory(): string {
  if (isRoot()) return '/var/lib/sensordb/embedded';
  const data = process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return join(data, 'sensordb', 'embedded');
}

/** Makes a path absolute and follows its symbolic links as far as they exist. */
export async function resolveDirectory(path: string): Promise<string> {
  const absolute = resolve(path);
  const real = await realpath(absolute).catch(() => null);
  if (real !== null) return real;
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(await resolveDirectory(parent), basename(absolute));
}

/** Reads what is in the directory, and refuses one that holds anything but a PostgreSQL data directory. */
export async function inspectDirectory(directory: string): Promise<DirectoryState> {
  const found = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw refused(directory, error);
  });
  if (found === null) return { kind: 'absent' };
  if (found.length === 0) return { kind: 'empty' };
  const version = await readFile(join(directory, 'PG_VERSION'), 'utf8').catch(() => null);
  if (version === null || !/^\d+$/.test(version.trim())) {
    throw usageError(
      'embedded_not_a_cluster',
      `${directory} is not empty and not a PostgreSQL data directory.`,
      {
        hint: 'Name an empty or missing directory, or one that --embedded made. Nothing was changed.',
        object: directory,
      },
    );
  }
  const { uid, gid } = await stat(directory);
  return { kind: 'cluster', major: Number(version), uid, gid };
}

function refused(directory: string, error: NodeJS.ErrnoException): Error {
  const reason = error.code === 'ENOTDIR' ? 'is not a directory' : `cannot be read (${error.code})`;
  return usageError('embedded_directory', `${directory} ${reason}.`, { object: directory, cause: error });
}

/** Tells that the account cannot get at the directory, and names one that it could. */
export function unreachable(directory: string, account: Account | null): Error {
  const who = account === null ? 'you' : `the user ${account.name}, as whom PostgreSQL has to run,`;
  return usageError('embedded_unreachable', `${directory} cannot be reached by ${who}.`, {
    hint: `Name a directory that can be, such as ${defaultDirectory()}.`,
    object: directory,
  });
}

/**
 * Makes a data directory; several processes may do so at once, and a crash leaves nothing half made.
 *
 * initdb works in a sibling, which is renamed: rename(2) replaces an empty directory and refuses a full one.
 */
export async function initCluster(
  native: string,
  directory: string,
  account: Account | null,
  extraArguments: readonly string[] = [],
): Promise<void> {
  const sibling = await makeSibling(directory, account);
  try {
    if (!(await canEnter(sibling, account))) throw unreachable(directory, account);
    await initdb(native, sibling, account, extraArguments);
    await rename(sibling, directory);
  } catch (error) {
    await rm(sibling, { recursive: true, force: true });
    await forgiveLostRace(directory, error as NodeJS.ErrnoException);
  }
}

async function initdb(
  native: string,
  directory: string,
  account: Account | null,
  extraArguments: readonly string[],
): Promise<void> {
  const fixed = ['-D', directory, '-U', 'postgres', '-E', 'UTF8', '--locale=C'];
  const login = ['--auth-local=trust', '--auth-host=reject'];
  const { code, output } = await run(
    join(native, 'bin', 'initdb'),
    [...fixed, ...login, ...extraArguments],
    account,
  );
  if (code === 0) return;
  throw failure('embedded_initdb', `initdb failed with exit code ${code}.`, {
    hint: output.trim().split('\n').slice(-5).join('\n'),
  });
}

/** Accepts that another process made the directory first; any other failure is passed on. */
async function forgiveLostRace(directory: string, error: NodeJS.ErrnoException): Promise<void> {
  if (error.code === 'ENOTEMPTY' || error.code === 'EEXIST') {
    const now = await inspectDirectory(directory);
    if (now.kind === 'cluster') return;
  }
  if (error.code === 'EBUSY' || error.code === 'EXDEV') {
    throw usageError('embedded_mount_point', `${directory} is a mount point, which cannot be replaced.`, {
      hint: `Name a directory inside it, such as ${join(directory, 'data')}.`,
      object: directory,
    });
  }
  throw error;
}

async function makeSibling(directory: string, account: Account | null): Promise<string> {
  const parent = dirname(directory);
  const prefix = `.${basename(directory)}.initdb-${hostname().replaceAll(/[^\w.]/g, '_')}-`;
  try {
    if (account === null) await mkdir(parent, { recursive: true });
    else await makeReadable(parent);
    await removeLeftovers(parent, prefix);
    const sibling = await mkdtemp(join(parent, `${prefix}${process.pid}-`));
    if (account !== null) await chown(sibling, account.uid, account.gid);
    return sibling;
  } catch (error) {
    throw usageError('embedded_directory', `${directory} cannot be made: ${(error as Error).message}`, {
      hint: `It is made beside its final place, so its parent has to be writable. Name one that can be, such as ${defaultDirectory()}.`,
      object: directory,
      cause: error,
    });
  }
}

/** Removes what runs of this host that were killed during initdb have left behind. */
async function removeLeftovers(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    if (!isAlive(pid)) await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** Tells whether a process lives; one that belongs to somebody else (EPERM) does. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
