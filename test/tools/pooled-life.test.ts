import type { Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { runMigrations } from '../support/migrations.ts';
import { runJson } from '../support/partitions.ts';
import { type Pooler, startPgBouncer } from '../support/pgbouncer.ts';
import { connectTo, type RunningServer, startServer } from '../support/server.ts';

const LEAVES = ['2025_01', '2025_02', '2025_03'].map((month) => `sensors_sensorreading_${month}`);
const DEFAULT = 'sensors_sensorreading_default';

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
beforeEach(async () => {
  await sql.unsafe(`set client_min_messages to error; drop schema public cascade; create schema public;
    drop schema if exists sensordb cascade`);
  await runMigrations(sql, 'public');
  await sql.unsafe(`insert into sensors_device (name, serial_number) values ('boiler', 'b-1')`);
});

describe.each(['transaction', 'session'] as const)('through PgBouncer in %s mode', (mode) => {
  let pooler: Pooler;
  beforeAll(async () => {
    pooler = await startPgBouncer(server, mode, 6);
  });
  afterAll(() => pooler.stop());

  async function must(words: readonly string[]) {
    const result = await runJson(pooler, ['partitions', ...words], { now: NOW });
    expect(result, words.join(' ')).toMatchObject({ exitCode: 0, error: null });
    return result.data;
  }

  it.each([true, false])('leaves live through all commands, with DEFAULT: %s', async (hasDefault) => {
    if (!hasDefault) await sql.unsafe(`drop table ${DEFAULT}`);
    expect((await must(['ensure', '--from', '2025-01', '--until', '2025-04'])).created).toEqual(LEAVES);
    await must(['ensure', '--months', '1']);
    const insert = (from: string, rows: number) => sql`
      insert into sensors_sensorreading (device_id, timestamp, value)
      select 1, ${from}::timestamptz + n * interval '1 hour', n from generate_series(1, ${rows}::int) n`;
    await insert('2025-01-01Z', 1000);
    expect((await must(['detach', '--before', '2025-04-01'])).detached).toEqual(LEAVES);
    expect(await sql`select from sensors_sensorreading`).toHaveLength(0);
    expect((await must(['attach', ...LEAVES])).attached).toEqual(LEAVES);
    expect(await sql`select from sensors_sensorreading`).toHaveLength(1000);
    await sql.unsafe(`alter table ${LEAVES[0]} replica identity full`);
    expect((await must(['repair'])).mended).toMatchObject([{ name: LEAVES[0] }]);
    expect((await must(['drop', '--before', '2025-04-01', '--yes'])).dropped).toEqual(LEAVES);
    if (hasDefault) {
      await insert('2025-01-01Z', 1000);
      expect((await must(['drain'])).drained).toMatchObject([{ rows: 743 }, { rows: 257 }]);
      expect(await sql`select from sensors_sensorreading`).toHaveLength(1000);
    }
    await expectNothingLeftBehind();
  });

  async function expectNothingLeftBehind(): Promise<void> {
    const others = connectTo(pooler.url, { max: 6 });
    for (const name of [
      'search_path',
      'lock_timeout',
      'jit',
      'statement_timeout',
      'session_replication_role',
    ]) {
      const [here] = await sql<{ value: string }[]>`select current_setting(${name}) as value`;
      const there = await Promise.all([1, 2, 3, 4, 5, 6].map(() => others.unsafe(`show ${name}`)));
      for (const rows of there) expect(Object.values(rows[0] ?? {}), name).toEqual([here?.value]);
    }
    await others.end();
    expect(await sql`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
    expect(await sql`select from pg_inherits where inhdetachpending`).toHaveLength(0);
  }
});
