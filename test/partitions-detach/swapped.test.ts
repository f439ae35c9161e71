import { afterEach, expect, it } from 'vitest';
import { attach, detach, leavesOf, readings } from '../support/detach.ts';
import { type StatementProxy, startProxy } from '../support/proxy.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let proxy: StatementProxy;
afterEach(async () => {
  await proxy.close();
  await database.drop();
});

const OLD = 'readings_2025_12';

/** Has somebody do something right before the first statement that has a text in it. */
async function before(text: string, statement: string): Promise<void> {
  let isDone = false;
  proxy = await startProxy(database.url, {
    before: async (passing) => {
      if (isDone || !passing.text.includes(text)) return;
      isDone = true;
      await database.sql.unsafe(statement);
    },
  });
}

const SWAP = `alter table ${OLD} rename to kept; alter table readings_2026_03 rename to ${OLD}`;

it.each([
  ['while it waits for the parent', 'lock table only'],
  ['right before DETACH', 'detach partition'],
])('detaches no other leaf that got the name %s', async (_when, text) => {
  database = await readings('', { default: true });
  await before(text, SWAP);
  const run = await detach(proxy, [OLD]);
  expect(run).toMatchObject({ exitCode: 6, changed: false, data: { detached: [] } });
  expect(run.data.refused).toMatchObject([{ name: OLD, reason: 'changed' }]);
  expect(await leavesOf(database.sql)).toEqual(expect.arrayContaining(['kept', OLD]));
  expect(await leavesOf(database.sql)).toHaveLength(6);
  expect(await database.sql`select from sensordb.detached_leaf`).toHaveLength(0);
});

it('says so when DETACH CONCURRENTLY took another leaf that got the name, and how it is put back', async () => {
  database = await readings();
  await before('concurrently', SWAP);
  const run = await detach(proxy, [OLD]);
  expect(run).toMatchObject({ exitCode: 6, data: { detached: [] } });
  expect(run.data.refused).toMatchObject([{ name: OLD, reason: 'changed' }]);
  expect(run.data.refused[0].message).toContain('that one was detached from public.readings instead');
  expect(run.data.refused[0].hint).toContain(`ATTACH PARTITION public.${OLD}`);
  expect(await leavesOf(database.sql)).toContain('kept');
  expect(await database.sql`select from sensordb.detached_leaf where state = 'detaching'`).toHaveLength(0);
});

it.each([
  ['before it is moved', ['--into-schema', 'archive'], 'archive', 'set schema'],
  ['before it is attached', [], 'public', 'attach partition'],
])('attaches no other table that got the name %s', async (_when, words, schema, text) => {
  database = await readings('create schema archive');
  await detach(database, [OLD, ...words]);
  await database.sql.unsafe(`create table ${schema}.other (like readings including all)`);
  const swap = `alter table ${schema}.${OLD} rename to kept; alter table ${schema}.other rename to ${OLD}`;
  await before(text, swap);
  const run = await attach(proxy, [OLD]);
  expect(run).toMatchObject({ exitCode: 6, changed: false, data: { attached: [] } });
  expect(await leavesOf(database.sql)).not.toContain(OLD);
  expect(await database.sql`select from sensordb.detached_leaf where state = 'detached'`).toHaveLength(1);
});

it('does not detach what has become the last leaf meanwhile', async () => {
  database = await readings('', { default: true });
  const others = ['01', '02', '03', '04'].map((month) => `readings_2026_${month}`).join();
  await before('lock table only', `drop table ${others}`);
  const run = await detach(proxy, [OLD]);
  expect(run).toMatchObject({ exitCode: 6, data: { detached: [] } });
  expect(run.data.refused).toMatchObject([{ name: OLD, reason: 'last_leaf' }]);
  expect(await leavesOf(database.sql)).toContain(OLD);
});
