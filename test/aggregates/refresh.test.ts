import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

const NOW = '2026-03-10T12:30:00Z';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-03-10 05:00Z', 6);
});
afterEach(() => database.drop());

async function refresh(words: readonly string[] = [], { url } = database as Pick<TestDatabase, 'url'>) {
  return await runJson({ url }, ['aggregates', 'refresh', ...words], { now: NOW });
}

async function expectExact(): Promise<void> {
  expect([...(await differences(database.sql, 'sensors_sensoraggregate'))]).toEqual([]);
}

const row = (at: string): string =>
  `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-10 ${at}+00', 5)`;

describe('two refreshes at once', () => {
  it.each([
    ['0s', 5],
    ['20s', 0],
  ])('exclude each other: the second, with --wait %s, exits %i', async (wait, exitCode) => {
    let second: ReturnType<typeof refresh> | null = null;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (second !== null || !text.includes('sensordb.moments(r.value)')) return;
        second = refresh(['--wait', wait]);
        if (wait === '0s') await second;
      },
    });
    expect(await refresh([], proxy)).toMatchObject({ exitCode: 0 });
    expect(await (second ?? Promise.reject(new Error('It was not reached.')))).toMatchObject({
      exitCode,
      error: exitCode === 0 ? null : { code: 'locked' },
    });
    await proxy.close();
    await expectExact();
  });
});

describe('somebody in the way', () => {
  it('of the triggers is named by the first refresh, which changes nothing', async () => {
    const writer = database.connect();
    await writer.unsafe(`begin; ${row('05:01')}`);
    const result = await refresh(['--wait', '1s']);
    expect(result).toMatchObject({ exitCode: 5, error: { code: 'lock_budget_spent' } });
    expect(result.error?.message).toMatch(/pid \d+/);
    await writer.unsafe('commit');
    expect(await refresh()).toMatchObject({ exitCode: 0 });
    await expectExact();
  });

  it.each(['05:01', '12:10'])('who empties a leaf is named, when there are rows of %s', async (at) => {
    expect(await refresh()).toMatchObject({ exitCode: 0 });
    await database.sql.unsafe(row(at));
    const other = database.connect();
    await other.unsafe('begin; truncate sensors_sensorreading_2026_03');
    const result = await refresh(['--wait', '1s']);
    expect(result).toMatchObject({ exitCode: 5, changed: false, error: { sqlstate: '55P03' } });
    expect(result.error?.message).toMatch(/pid \d+/);
    await other.unsafe('commit');
    expect(await refresh()).toMatchObject({ exitCode: 0 });
    await expectExact();
  });
});

describe('by an owner who is no superuser', () => {
  let owner: TestRole;
  beforeEach(async () => {
    expect(await refresh()).toMatchObject({ exitCode: 0 });
    owner = await createRole(database);
    const { sql } = database;
    for (const table of [
      'sensors_sensorreading',
      'sensors_sensorreading_2026_02',
      'sensors_sensorreading_2026_03',
      'sensors_sensorreading_default',
      'sensors_sensoraggregate',
    ])
      await sql.unsafe(`alter table ${table} owner to ${owner.name}`);
    await sql.unsafe(`grant usage on schema sensordb to ${owner.name};
      grant select, insert, update, delete on all tables in schema sensordb to ${owner.name}; grant all on all sequences in schema sensordb to ${owner.name}`);
  });
  afterEach(async () => {
    await database.sql.unsafe(`reassign owned by ${owner.name} to current_user`);
    await dropRoles(database.sql, [owner]);
  });

  it.each(['sensors_sensorreading', 'sensors_sensoraggregate'])(
    'policies that hide rows of %s are an error, also when they hide all that is open',
    async (table) => {
      await database.sql.unsafe(`${row('12:10')}; alter table ${table} enable row level security; alter table ${table} force row level security;
      create policy few on ${table} using (device_id = 2)`);
      expect(await refresh([], owner)).toMatchObject({
        exitCode: 1,
        error: {
          code: 'insufficient_privilege',
          sqlstate: '42501',
          hint: expect.stringContaining('BYPASSRLS'),
        },
      });
      await database.sql.unsafe(`alter table ${table} no force row level security`);
      expect(await refresh([], owner)).toMatchObject({ exitCode: 0 });
      await expectExact();
    },
  );

  it('a long log of another role is left to autovacuum, without a word', async () => {
    await lengthenLog();
    expect(await said(owner)).toEqual([0, '']);
    await expectExact();
    expect(await isLong()).toBe(true);
    expect(await said(database)).toEqual([0, '']);
    await lengthenLog();
    expect(await said(database)).toEqual([0, '']);
    expect(await isLong()).toBe(false);
  });
});

async function lengthenLog(): Promise<void> {
  await database.sql.unsafe(`alter table sensordb.aggregate_change set (autovacuum_enabled = off);
    insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, '2026-03-10 05:00Z'::timestamptz + n * interval '0.2 seconds', 1 from generate_series(1, 30000) n`);
}

async function isLong(): Promise<boolean> {
  const [log] = await database.sql`select pg_relation_size('sensordb.aggregate_change') > 1e6 as "isLong"`;
  return log?.isLong;
}

/** Runs a refresh, and gives what it says beside its answer. */
async function said({ url }: Pick<TestDatabase, 'url'>) {
  const { exitCode, stderr } = await runCli(['aggregates', 'refresh', '--json'], { url, now: NOW });
  return [exitCode, stderr];
}

it('a long log that is being vacuumed is left to whoever does', async () => {
  expect(await refresh()).toMatchObject({ exitCode: 0 });
  await lengthenLog();
  const other = database.connect();
  // As VACUUM locks it.
  await other.unsafe('begin; lock table sensordb.aggregate_change in share update exclusive mode');
  expect(await said(database)).toEqual([0, '']);
  await other.unsafe('rollback');
  await expectExact();
  expect(await isLong()).toBe(true);
});
