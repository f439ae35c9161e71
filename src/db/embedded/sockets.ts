import { createHash } from 'node:crypto';
import { chown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failure } from '../../cli/errors.ts';
import type { Account } from './account.ts';

/** The port in the socket's name; nothing listens on TCP, and every data directory has its own folder. */
export const PORT = 5432;

// sun_path holds 107 bytes on Linux and 103 on macOS.
const LONGEST_PATH = 100;

/** Tells whether clients can name the folder: in libpq's `host` a comma stands between two servers, quoted or not. */
function fits(folder: string): boolean {
  return !folder.includes(',') && Buffer.byteLength(join(folder, `.s.PGSQL.${PORT}`)) < LONGEST_PATH;
}

/** Gives the folder for the server's socket: the data directory, or a short one in the temporary folder. */
export async function socketDirectory(dataDirectory: string, account: Account | null): Promise<string> {
  if (fits(dataDirectory)) return dataDirectory;
  const name = `sensordb-${createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16)}`;
  const inTemporary = join(tmpdir(), name);
  const folder = fits(inTemporary) ? inTemporary : join('/tmp', name);
  await makePrivate(folder, account);
  return folder;
}

/** Makes a folder of the account's own; one that somebody else put there would let him answer in its place. */
async function makePrivate(folder: string, account: Account | null): Promise<void> {
  const uid = account?.uid ?? process.getuid?.() ?? -1;
  const made = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    () => false,
  );
  if (made && account !== null) await chown(folder, account.uid, account.gid);
  const facts = await lstat(folder);
  if (!facts.isDirectory() || facts.uid >>> 0 !== uid >>> 0) {
    throw failure('embedded_socket_folder', `${folder} belongs to somebody else.`, {
      hint: 'Remove it, or name a directory with a shorter path.',
      object: folder,
    });
  }
}
