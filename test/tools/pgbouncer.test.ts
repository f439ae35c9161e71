import type { Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { runMigrations } from '../support/migrations.ts';
import { type Pooler, startPgBouncer } from '../support/pgbouncer.ts';
import { startProxy } from '../support/proxy.ts';
import { connectTo, type RunningServer, startServer } from '../support/server.ts';

const NOW = '2026-03-10T12:00:00Z';
const MONTHS = ['2026_03', '2026_04', '2026_05'].map((month) => `sensors_sensorreading_${month}`);

let server: RunningServer;
let sql: Sql;
beforeAll(async () => {
  server = await startServer();
  sql = connectTo(server.url, { max: 2 });
});
afterAll(async () => {
  await sql.end();
  await server.stop();
});
beforeEach(() => runMigrations(sql, 'public'));
afterEach(() =>
  sql.unsafe(`set client_min_messages to error; drop schema public cascade; create schema public;
    drop schema if exists sensordb cascade`),
);

const ensure = (url: string, words: readonly string[] = ['--months', '2']) =>
  runCli(['partitions', 'ensure', '--json', ...words], { url, now: NOW });

describe.each(['transaction', 'session'] as const)('through PgBouncer in %s mode', (mode) => {
  let pooler: Pooler;
  beforeAll(async () => {
    pooler = await startPgBouncer(server, mode, 6);
  });
  afterAll(() => pooler.stop());

  it('ensure and migrate work, and leave no setting and no lock behind for others', async () => {
    const { exitCode, json } = await ensure(pooler.url);
    expect([exitCode, json().data.created]).toEqual([0, MONTHS]);
    expect(
      (await runCli(['migrate', 'up', '--schema', 'public', '--dry-run'], { url: pooler.url })).exitCode,
    ).toBe(0);
    const others = connectTo(pooler.url, { max: 4 });
    for (const name of ['search_path', 'lock_timeout', 'jit', 'idle_in_transaction_session_timeout']) {
      const here = await sql`select current_setting(${name}) as value`;
      const there = await Promise.all([1, 2, 3, 4].map(() => others.unsafe(`show ${name}`)));
      for (const rows of there) expect(Object.values(rows[0] ?? {})).toEqual([here[0]?.value]);
    }
    await others.end();
    expect(await sql`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
  });

  it.each([
    ['beside DEFAULT', ''],
    ['without DEFAULT', 'drop table sensors_sensorreading_default'],
  ])('a leaf lives its whole life %s', async (_name, prepare) => {
    const run = async (words: readonly string[], pick: string) => {
      const { exitCode, json } = await runCli(['partitions', ...words, '--json'], {
        url: pooler.url,
        now: NOW,
      });
      return [exitCode, json().data[pick], json().error];
    };
    const old = 'sensors_sensorreading_2025_01';
    expect((await ensure(pooler.url, ['--from', '2025-01', '--until', '2025-03'])).exitCode).toBe(0);
    expect((await ensure(pooler.url)).exitCode).toBe(0);
    await sql.unsafe(`insert into sensors_device (name, serial_number) values ('boiler', 'b-1');
      insert into sensors_sensorreading (device_id, timestamp, value) select id, '2025-01-05', 1 from sensors_device`);
    await sql.unsafe(prepare);
    expect(await run(['detach', old], 'detached')).toEqual([0, [old], null]);
    expect(await sql`select from sensors_sensorreading`).toHaveLength(0);
    expect(await run(['attach', old], 'attached')).toEqual([0, [old], null]);
    expect(await sql`select from sensors_sensorreading`).toHaveLength(1);
    if (prepare === '') {
      await sql`insert into sensors_sensorreading (device_id, timestamp, value)
        select id, '2024-06-05', 1 from sensors_device`;
      const [exitCode, created] = await run(['drain'], 'created');
      expect([exitCode, created]).toEqual([0, ['sensors_sensorreading_2024_06']]);
    }
    await sql.unsafe('alter table sensors_sensorreading_2026_03 replica identity full');
    expect((await run(['repair'], 'mended'))[0]).toBe(0);
    expect(await run(['drop', old, '--yes'], 'dropped')).toEqual([0, [old], null]);
    expect(await sql`select to_regclass(${old}) as gone`).toEqual([{ gone: null }]);
    const others = connectTo(pooler.url, { max: 4 });
    const here = await sql`select current_setting('lock_timeout') as value`;
    const there = await Promise.all([1, 2, 3, 4].map(() => others.unsafe('show lock_timeout')));
    for (const rows of there) expect(Object.values(rows[0] ?? {})).toEqual([here[0]?.value]);
    await others.end();
  });

  it('two runs exclude each other', async () => {
    let busy = -1;
    const proxy = await startProxy(pooler.url, {
      before: async ({ text }) => {
        if (busy !== -1 || !text.startsWith('create table public.')) return;
        busy = 0;
        const other = await ensure(pooler.url, ['--months', '2', '--wait', '0s']);
        busy = other.exitCode;
        expect(other.json().error?.code).toBe('locked');
      },
    });
    const { exitCode, json } = await ensure(proxy.url);
    await proxy.close();
    expect([exitCode, json().data.created, busy]).toEqual([0, MONTHS, 5]);
  });

  it('a run stops before its next transaction when the connection that holds the lock is gone', async () => {
    let killed = false;
    const proxy = await startProxy(pooler.url, {
      before: async ({ text }) => {
        if (killed || !text.includes('attach partition')) return;
        killed = true;
        const rows =
          await sql`select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory'`;
        expect(rows).toHaveLength(1);
      },
    });
    const { exitCode, json } = await ensure(proxy.url);
    await proxy.close();
    expect([exitCode, killed]).toEqual([1, true]);
    expect(json()).toMatchObject({
      changed: true,
      data: { created: [MONTHS[0]] },
      error: { code: 'lock_lost' },
    });
    const log = await sql`select exit_code from sensordb.run_log`;
    expect([...log]).toEqual([{ exit_code: 1 }]);
    expect((await ensure(pooler.url)).exitCode).toBe(0);
  });
});

it.each([
  ['transaction', 1],
  ['session', 1],
] as const)(
  'a pool of one in %s mode is refused with the remedy, nothing is changed',
  { timeout: 60_000 },
  async (mode, size) => {
    const pooler = await startPgBouncer(server, mode, size);
    const { exitCode, json } = await ensure(pooler.url);
    await pooler.stop();
    expect(exitCode).toBe(2);
    expect(json().error).toMatchObject({ code: 'lock_not_provable', object: 'public.sensors_sensorreading' });
    expect(json().error?.hint).toContain('directly');
    expect(await sql`select to_regclass('sensordb.run_log') as log`).toEqual([{ log: null }]);
  },
);

it('statement mode is refused with the remedy', async () => {
  const pooler = await startPgBouncer(server, 'statement', 5);
  const { exitCode, json } = await ensure(pooler.url);
  await pooler.stop();
  expect([exitCode, json().error]).toMatchObject([1, { code: 'connection_lost' }]);
  expect(json().error?.hint).toMatch(/statement mode allows no transactions: connect directly/);
});
