import { afterEach, beforeEach, expect, it } from 'vitest';
import { attach, detach, leavesOf, readings } from '../support/detach.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readings(
    `create table import (like readings including all); insert into import values (1, 1, '2024-11-05Z', 1)`,
    { default: true },
  );
});
afterEach(() => database.drop());

const IMPORT = ['import', '--from', '2024-11-01', '--until', '2024-12-01'];

async function checks(): Promise<readonly string[]> {
  const rows = await database.sql`select conname from pg_constraint
    where conrelid = 'import'::regclass and contype = 'c'`;
  return rows.map(({ conname }) => conname);
}

/** Nothing of it is noted, and no drop finds it. */
async function expectStranger(): Promise<void> {
  const noted = await database.sql`select from sensordb.detached_leaf where leaf_oid = 'import'::regclass`;
  expect(noted).toHaveLength(0);
  const dropped = await runJson(database, [
    'partitions',
    'drop',
    '-t',
    'readings',
    '--before',
    '2025-01-01',
    '--yes',
  ]);
  expect(dropped.data.dropped).toEqual([]);
  const named = await runJson(database, ['partitions', 'drop', '-t', 'readings', 'import', '--yes']);
  expect(named.exitCode).toBe(2);
  expect(await database.sql`select id::int from import`).toEqual([{ id: 1 }]);
}

it('a table whose attach is blocked stays its owner’s, with nothing on it, and no drop finds it', async () => {
  const reader = database.connect();
  await reader.unsafe('begin; lock table readings_default in access share mode');
  const run = await attach(database, [...IMPORT, '--wait', '300ms']);
  expect(run).toMatchObject({ exitCode: 5, changed: false, data: { attached: [] } });
  await reader.unsafe('rollback');
  expect(await checks()).toEqual([]);
  await expectStranger();
  expect(await attach(database, IMPORT)).toMatchObject({ exitCode: 0, data: { attached: ['import'] } });
  expect(await checks()).toEqual([]);
});

it('so does one whose time another leaf takes meanwhile', async () => {
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (!text.includes('validate constraint')) return;
      await database.sql`create table usurper partition of readings for values from ('2024-11-15Z') to ('2024-11-16Z')`;
    },
  });
  const run = await attach(proxy, IMPORT);
  await proxy.close();
  expect(run).toMatchObject({ exitCode: 3, data: { conflicts: [{ name: 'import', reason: 'overlap' }] } });
  expect(await checks()).toEqual([]);
  await database.sql`drop table usurper`;
  await expectStranger();
});

it.each(['validate constraint', 'attach partition'])(
  'so does one whose run was killed before %s, and the next run takes away what that left',
  async (text) => {
    const proxy = await startProxy(database.url, {
      before: (passing) => {
        if (passing.text.includes(text)) passing.cut();
      },
    });
    const run = await attach(proxy, IMPORT);
    await proxy.close();
    expect(run.exitCode).not.toBe(0);
    expect(run.warnings.map(({ code }: { code: string }) => code)).toContain('guard_left');
    expect(await checks()).toEqual(['sensordb_bounds']);
    await expectStranger();
    const other = ['import', '--from', '2024-10-01', '--until', '2024-12-01'];
    expect(await attach(database, other)).toMatchObject({ exitCode: 0, data: { attached: ['import'] } });
    expect(await checks()).toEqual([]);
  },
);

it('a detached leaf that was renamed is attached with bounds', async () => {
  await detach(database, ['readings_2025_12']);
  await database.sql`alter table readings_2025_12 rename to renamed`;
  const run = await attach(database, ['renamed', '--from', '2025-12-01', '--until', '2026-01-01']);
  expect(run).toMatchObject({ exitCode: 0, error: null, data: { attached: ['renamed'] } });
  expect(await leavesOf(database.sql)).toContain('renamed');
  expect(await database.sql`select from sensordb.detached_leaf where state = 'detached'`).toHaveLength(0);
});
