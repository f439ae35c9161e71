import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFolder } from '../support/folder.ts';
import { nodeExecutable } from '../support/runtimes.ts';

// From Node 22.1 on Node.js keeps what it compiled itself: what is ours is that of 20.
const NODE = process.versions.node.startsWith('20.') ? process.execPath : nodeExecutable('20');
const EXECUTABLE = fileURLToPath(new URL('../../bin/sensordb.js', import.meta.url));

let home: ReturnType<typeof createFolder>;
let folder: string;
beforeEach(() => {
  home = createFolder({});
  folder = join(home.path, '.cache/sensordb/compile');
});
afterEach(() => home.remove());

function sensordb(...words: readonly string[]) {
  const env = { PATH: process.env.PATH, HOME: home.path };
  const { status, stdout, stderr } = spawnSync(NODE, [EXECUTABLE, ...words], { env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function keptFiles(): readonly string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}

/** The one file that help leaves behind. */
function keepHelp() {
  const first = sensordb('help', 'connection');
  expect(first.status).toBe(0);
  expect(keptFiles()).toHaveLength(1);
  const file = keptFiles()[0] as string;
  return { first, file, bytes: readFileSync(file) };
}

describe('what was compiled', () => {
  it('is kept by the first start, for its owner alone, and used by the next', () => {
    const { first, file } = keepHelp();
    expect(statSync(file).mode & 0o077).toBe(0);
    const { ino } = statSync(file);
    expect(sensordb('help', 'connection')).toEqual(first);
    expect(statSync(file).ino).toBe(ino);
  });

  it('is made anew where a byte is damaged, at which V8 would end the process', () => {
    const { first, file, bytes } = keepHelp();
    for (const part of [0.1, 0.5, 0.9]) {
      const damaged = Buffer.from(bytes);
      damaged.fill(0xa5, Math.floor(bytes.length * part), Math.floor(bytes.length * part) + 64);
      writeFileSync(file, damaged);
      expect(sensordb('help', 'connection')).toEqual(first);
      expect(readFileSync(file).equals(damaged)).toBe(false);
    }
  });

  it('is made anew where the file is cut short or empty', () => {
    const { first, file, bytes } = keepHelp();
    for (const length of [0, 3, 1000]) {
      writeFileSync(file, bytes.subarray(0, length));
      expect(sensordb('help', 'connection')).toEqual(first);
      expect(statSync(file).size).toBeGreaterThan(1000);
    }
  });

  it('is a matter of each command', () => {
    keepHelp();
    expect(sensordb('partitions', '--help').status).toBe(0);
    expect(keptFiles()).toHaveLength(2);
  });
});

describe('nothing is kept', () => {
  it('of a command that does not exist', () => {
    expect(sensordb('no', 'such').status).toBe(2);
    expect(keptFiles()).toEqual([]);
  });

  it('where others could write it, or another user did, whose code root must not run', () => {
    mkdirSync(folder, { recursive: true });
    const foreign = [() => chmodSync(folder, 0o777)];
    // Only root can give a folder away.
    if (process.geteuid?.() === 0) foreign.push(() => chownSync(folder, 65534, 65534));
    for (const make of foreign) {
      chmodSync(folder, 0o700);
      make();
      expect(sensordb('help', 'connection').status).toBe(0);
      expect(keptFiles()).toEqual([]);
    }
  });

  it('and no folder is made in a home that is another user’s, or that others can write', () => {
    const foreign = [() => chmodSync(home.path, 0o777)];
    if (process.geteuid?.() === 0) foreign.push(() => chownSync(home.path, 65534, 65534));
    for (const make of foreign) {
      chmodSync(home.path, 0o700);
      make();
      expect(sensordb('help', 'connection').status).toBe(0);
      expect(readdirSync(home.path)).toEqual([]);
    }
  });

  it('where there is no home that can be written', () => {
    writeFileSync(join(home.path, '.cache'), '');
    expect(sensordb('help', 'connection')).toMatchObject({ status: 0, stderr: '' });
  });
});
