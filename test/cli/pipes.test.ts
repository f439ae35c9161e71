import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXECUTABLE } from '../support/cli.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql.unsafe('create table t (at date primary key, v int) partition by range (at)');
});
afterAll(() => database.drop());

function start(words: readonly string[]) {
  const child = spawn(process.execPath, [EXECUTABLE, ...words], {
    env: { PATH: process.env.PATH, SENSORDB_DATABASE_URL: database.url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<{ exitCode: number | null; stderr: string }>((resolve) => {
    child.on('close', (exitCode) => resolve({ exitCode, stderr }));
  });
  return { child, ended };
}

// Ten years of days: several megabytes of steps.
const LARGE = ['--table', 't', '--interval', 'day', '--from', '2000-01-01', '--until', '2010-01-01'];

it('a megabyte of JSON comes whole through a pipe whose reader is slow', async () => {
  const { child, ended } = start(['partitions', 'ensure', '--dry-run', '--json', ...LARGE]);
  await sleep(1000);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) {
    chunks.push(chunk as Buffer);
    if (chunks.length % 8 === 0) await sleep(20);
  }
  expect((await ended).exitCode).toBe(0);
  const text = Buffer.concat(chunks).toString();
  expect(text.length).toBeGreaterThan(1_000_000);
  expect(JSON.parse(text).data.created).toHaveLength(3653);
});

it.each([
  ['a table of partitions', ['partitions', 'ensure', '--dry-run', ...LARGE]],
  ['JSON', ['partitions', 'ensure', '--dry-run', '--json', ...LARGE]],
  ['help', ['--help']],
])('a reader of %s that goes away is no crash', async (_what, words) => {
  const { child, ended } = start(words);
  child.stdout.destroy();
  expect(await ended).toEqual({ exitCode: 0, stderr: '' });
});

// macOS has no such device.
describe.runIf(existsSync('/dev/full'))('on a full disk', () => {
  const LOST = 'error: The output could not be written: ENOSPC.*\n';

  /** Runs a command with the redirections of a shell. */
  async function redirected(words: readonly string[], redirections: string) {
    const command = [process.execPath, EXECUTABLE, ...words].map((word) => JSON.stringify(word)).join(' ');
    const child = spawn('/bin/sh', ['-c', `exec ${command} ${redirections}`], {
      env: { PATH: process.env.PATH, SENSORDB_DATABASE_URL: database.url },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const chunks: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const exitCode = await new Promise((resolve) => child.on('close', resolve));
    return { exitCode, stderr: Buffer.concat(chunks).toString() };
  }

  it.each([
    ['a table', ['partitions', 'list', '--table', 't']],
    ['JSON', ['partitions', 'list', '--table', 't', '--json']],
    ['help', ['--help']],
    ['a help topic', ['help', 'exit-codes']],
    ['help on a command', ['help', 'partitions', 'ensure']],
    ['the version', ['--version']],
    ['the version, in company,', ['--version', '--json']],
  ])('%s that could not be written is an error, exit 1', async (_what, words) => {
    const { exitCode, stderr } = await redirected(words, '> /dev/full');
    expect(stderr).toMatch(new RegExp(`^${LOST}$`));
    expect(exitCode).toBe(1);
  });

  it('an error that was to be JSON is on stderr, with its own exit code where that comes first', async () => {
    const { exitCode, stderr } = await redirected(['partitions', 'nonsense', '--json'], '> /dev/full');
    expect(stderr).toMatch(new RegExp(`^error: Unknown command 'nonsense'\\.\nhint: .*\n${LOST}$`));
    expect(exitCode).toBe(2);
  });

  it('the exit code alone is left when stderr is lost, too', async () => {
    const { exitCode } = await redirected(
      ['partitions', 'list', '--table', 't', '--json'],
      '> /dev/full 2> /dev/full',
    );
    expect(exitCode).toBe(1);
  });
});
