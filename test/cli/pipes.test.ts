import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
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
it.runIf(existsSync('/dev/full'))('says that the output could not be written, and exits 1', async () => {
  const command = `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(EXECUTABLE)} partitions list --table t`;
  const child = spawn('/bin/sh', ['-c', `${command} > /dev/full`], {
    env: { PATH: process.env.PATH, SENSORDB_DATABASE_URL: database.url },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const chunks: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const exitCode = await new Promise((resolve) => child.on('close', resolve));
  expect(exitCode).toBe(1);
  expect(Buffer.concat(chunks).toString()).toMatch(/^error: The output could not be written: ENOSPC/);
});
