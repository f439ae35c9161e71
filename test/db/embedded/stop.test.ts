import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmbedded } from '../../../src/db/embedded.ts';
import { type Home, isRunning, makeHome, visit } from '../../support/embedded.ts';

let home: Home;

beforeEach(async () => {
  home = await makeHome();
});

afterEach(async () => {
  await home.remove();
});

test('leaves a server running that somebody else uses', async () => {
  const server = await startEmbedded({ directory: home.directory });
  const visitor = await visit(home.directory);
  expect(await server.stop()).toBe('left_running');
  expect(await visitor`select 2 as two`).toEqual([{ two: 2 }]);
  await visitor.end();
  expect(await server.stop()).toBe('stopped');
  expect(await isRunning(home.directory)).toBe(false);
});

test('leaves a server running that does not say who uses it', async () => {
  const server = await startEmbedded({ directory: home.directory });
  const visitor = await visit(home.directory);
  const accessFile = join(home.directory, 'pg_hba.conf');
  const access = await readFile(accessFile, 'utf8');
  await writeFile(accessFile, 'local all all reject\n');
  await visitor`select pg_reload_conf()`;
  const refusal = () => visit(home.directory).then(String, (error) => error.code);
  await expect.poll(refusal).toBe('28000');
  expect(await server.stop()).toBe('left_running');
  expect(await visitor`select 2 as two`).toEqual([{ two: 2 }]);
  await writeFile(accessFile, access);
  await visitor`select pg_reload_conf()`;
  await visitor.end();
  await expect.poll(() => server.stop(), { timeout: 10_000 }).toBe('stopped');
});

test('finds a server stopped that ended while it was asked', async () => {
  const server = await startEmbedded({ directory: home.directory });
  const visitor = await visit(home.directory);
  const stopping = server.stop();
  await home.end();
  expect(await stopping).toBe('stopped');
  await visitor.end();
});
