import { chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from '../../src/db/embedded/account.ts';

/** Gives a folder and all that is in it to the account that servers run as. */
export async function chownTree(path: string, account: Account): Promise<void> {
  await chown(path, account.uid, account.gid);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) await chownTree(inner, account);
    else if (entry.isFile()) await chown(inner, account.uid, account.gid);
  }
}
