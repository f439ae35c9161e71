import { PassThrough, Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { Context } from '../../src/cli/context.ts';
import { write } from '../../src/cli/output.ts';
import { openStage } from '../../src/demo/stage.ts';
import { walkTo } from '../../src/demo/walk.ts';
import { main } from '../../src/main.ts';

const URL = 'host=/nowhere port=5432 user=postgres dbname=sensordb_demo';

function world(env: Context['env'] = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const context: Context = {
    version: '0.0.0',
    cwd: '/',
    env,
    stdin: Readable.from([]),
    stdout,
    stderr,
    now: () => new Date(),
    signal: new AbortController().signal,
  };
  const said = () => ({ stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') });
  return { context, said };
}

const STOP = { text: 'What the exit codes mean.', argv: ['help', 'exit-codes'] };

test('shows the walk, and what its commands print, on stdout', async () => {
  const { context, said } = world();
  await walkTo(STOP, await openStage(context, {}, URL), main);
  const { stdout, stderr } = said();
  expect(stdout).toContain('What the exit codes mean.\n$ sensordb help exit-codes\n');
  expect(stdout.split('help exit-codes\n')[1]).toContain('130');
  expect(stderr).toBe('');
});

test('leaves stdout to the envelope with --json', async () => {
  const { context, said } = world();
  await walkTo(STOP, await openStage(context, { json: true }, URL), main);
  const { stdout, stderr } = said();
  expect(stdout).toBe('');
  expect(stderr).toContain('$ sensordb help exit-codes\n');
  expect(stderr).toContain('130');
});

test.each([{ quiet: true }, { quiet: true, json: true }])('shows nothing of it with %j', async (options) => {
  const { context, said } = world();
  const stage = await openStage(context, options, URL);
  await walkTo(STOP, stage, main);
  expect(said()).toEqual({ stdout: '', stderr: '' });
  // What commands warn of goes to stderr, unless they are told.
  expect(stage.flags).toEqual(['--quiet']);
});

test('says what went wrong with --quiet, too, and stops', async () => {
  const { context, said } = world();
  const stage = await openStage(context, { quiet: true }, URL);
  await expect(walkTo({ text: '', argv: ['migrate', 'status'] }, stage, main)).rejects.toMatchObject({
    message: 'The demo stops: sensordb migrate status ended with exit code 4.',
  });
  const { stdout, stderr } = said();
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^error: .*\/nowhere/);
});

test('keeps the settings of another server from the commands, and nothing else', async () => {
  const { context } = world({
    PGSERVICE: 'nosuch',
    PGOPTIONS: '-c nosuch=1',
    DATABASE_URL: 'postgresql://elsewhere/',
    SENSORDB_DATABASE_URL: 'postgresql://elsewhere/',
    HOME: '/home/me',
    NO_COLOR: '1',
  });
  const stage = await openStage(context, {}, URL);
  expect(stage.context.env).toEqual({
    SENSORDB_DATABASE_URL: URL,
    SENSORDB_CONFIG: '/dev/null',
    HOME: '/home/me',
    NO_COLOR: '1',
  });
});

test('passes --no-color on to the commands', async () => {
  const { context, said } = world({ FORCE_COLOR: '1' });
  const stage = await openStage(context, { color: false }, URL);
  await walkTo(STOP, stage, main);
  await expect(walkTo({ text: '', argv: ['migrate', 'status'] }, stage, main)).rejects.toThrow();
  await write(context.stdout, 'the end');
  const { stdout, stderr } = said();
  expect(`${stdout}${stderr}`).not.toContain('\u001b');
});
