import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { resolveConninfo } from '../../../src/db/conninfo/resolve.ts';
import type { Conninfo, ConninfoInput } from '../../../src/db/conninfo/types.ts';

const HOME = mkdtempSync(join(tmpdir(), 'sensordb-conninfo-'));
afterAll(() => rmSync(HOME, { recursive: true }));

/** Makes a folder of a test's own; it is removed after the tests of the file. */
export function makeFolder(): string {
  return mkdtempSync(join(HOME, 'folder-'));
}

/** Writes a file with the given permissions, whatever the umask is, and gives its path. */
export function writePrivate(path: string, text: string, mode = 0o600): string {
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

/** Resolves settings of a user `me` who has no files and an empty environment, but for what is given. */
export function resolve(input: Partial<ConninfoInput>): Conninfo {
  return resolveConninfo({ env: {}, home: '/nonexistent', osUser: 'me', socketDirectories: [], ...input });
}
