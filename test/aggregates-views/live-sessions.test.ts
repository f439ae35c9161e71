import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectTo } from '../support/connect.ts';
import { addReadings, differences, LIVE, readingsDatabase, refresh } from '../support/recount.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-27T22:10:00Z', 30);
  await addReadings(database.sql, '2026-03-10T06:00:00Z', 8);
  await refresh(database);
});
afterEach(() => database.drop());

const LATE = `insert into sensors_sensorreading (device_id, "timestamp", value) values (2, '2026-02-28 03:30Z', 99), (2, '2026-03-10 12:30Z', 99)`;

describe('sensors_sensoraggregate_live', () => {
  it.each(['read committed', 'repeatable read', 'serializable'])(
    'shows a writer’s rows from its commit on, in %s',
    async (level) => {
      const writer = database.connect();
      const reader = database.connect();
      await writer.unsafe(`begin isolation level ${level}; ${LATE}`);
      expect(await differences(writer, LIVE)).toEqual([]);
      await reader.unsafe(`begin isolation level ${level} read only`);
      expect(await differences(reader, LIVE)).toEqual([]);
      const before = await reader.unsafe(`select sum(reading_count)::int as n from ${LIVE}`);
      await writer.unsafe('commit');
      const after = await reader.unsafe(`select sum(reading_count)::int as n from ${LIVE}`);
      expect(after[0]?.n - before[0]?.n).toBe(level === 'read committed' ? 2 : 0);
      expect(await differences(reader, LIVE)).toEqual([]);
      await reader.unsafe('commit');
      expect(await differences(reader, LIVE)).toEqual([]);
    },
  );

  it('is right as of a snapshot that was taken before a refresh', async () => {
    const reader = database.connect();
    await database.sql.unsafe(LATE);
    await reader.unsafe('begin isolation level repeatable read; select 1');
    const rows = () =>
      reader.unsafe(`select device_id, hour, reading_count, value_sum from ${LIVE} order by 1, 2`);
    const before = await rows();
    await database.sql.unsafe(
      `update sensors_sensorreading set value = value + 8 where "timestamp" < '2026-02-28 02:00Z'`,
    );
    await refresh(database, '2026-03-10T15:00:00Z');
    expect(await differences(reader, LIVE)).toEqual([]);
    expect(await rows()).toEqual(before);
    await reader.unsafe('commit');
    expect(await differences(reader, LIVE)).toEqual([]);
    expect(await rows()).not.toEqual(before);
  });

  it.each([
    ['detached', 'alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02'],
    ['truncated', 'truncate sensors_sensorreading_2026_02'],
    ['dropped', 'drop table sensors_sensorreading_2026_02'],
  ])(
    'fails rather than leave out rows of a leaf that was %s since its snapshot, and only if it counts them',
    async (_, change) => {
      const reader = database.connect();
      await database.sql.unsafe(LATE);
      await reader.unsafe('begin isolation level repeatable read; select 1');
      await database.sql.unsafe(change);
      expect(await reader`select from sensors_sensoraggregate_live('2026-03-01Z')`).not.toHaveLength(0);
      expect(
        await reader`select from sensors_sensoraggregate_live(until => '2026-02-28 03:00Z')`,
      ).not.toHaveLength(0);
      expect(await reader`select from sensors_sensoraggregate_live(device_id => 1)`).not.toHaveLength(0);
      await expect(reader`select from sensors_sensoraggregate_live()`).rejects.toMatchObject({
        code: '40001',
      });
      await reader.unsafe('rollback');
      expect(await reader`select from sensors_sensoraggregate_live()`).not.toHaveLength(0);
    },
  );

  it('serves a role that may read the two tables, and has no right on schema sensordb', async () => {
    const role = await createRole(database);
    await database.sql.unsafe(LATE);
    const app = connectTo(role.url);
    try {
      await expect(app.unsafe(`select from ${LIVE}`)).rejects.toMatchObject({ code: '42501' });
      await database.sql.unsafe(`grant select on sensors_sensorreading to ${role.name}`);
      await expect(app.unsafe(`select from ${LIVE}`)).rejects.toMatchObject({ code: '42501' });
      await database.sql.unsafe(`grant select on sensors_sensoraggregate to ${role.name}`);
      expect(await differences(app, LIVE)).toEqual([]);
      await expect(app`select from sensordb.aggregate_change`).rejects.toMatchObject({ code: '42501' });
    } finally {
      await app.end();
      await dropRoles(database.sql, [role]);
    }
  });

  it('gives the same rows in any session', async () => {
    await database.sql.unsafe(LATE);
    const rows = (sql: typeof database.sql) =>
      sql`select device_id, extract(epoch from hour)::float8 as hour, reading_count, value_sum, last_value
            from public.sensors_sensoraggregate_live('2026-02-28 01:00Z'::timestamptz, '2026-03-10 13:00Z'::timestamptz) order by 1, 2`;
    const expected = await rows(database.sql);
    expect(expected.length).toBeGreaterThan(90);
    for (const settings of [
      `set timezone to 'Asia/Kolkata'; set datestyle to 'SQL, DMY'`,
      `set timezone to 'Australia/Lord_Howe'; set datestyle to 'German'; set intervalstyle to 'sql_standard'`,
      `set timezone to 'Europe/Berlin'; set datestyle to 'Postgres, MDY'`,
      `create schema decoy; create table decoy.sensors_sensorreading (id int); create table decoy.unnest (id int);
       create function decoy.abs(float8) returns float8 language sql as 'select 0.0::float8'; set search_path to decoy, pg_catalog, public`,
    ]) {
      const other = database.connect();
      await other.unsafe(settings);
      expect(await rows(other)).toEqual(expected);
    }
  });

  it('cannot be led astray by a role’s temporary tables and functions', async () => {
    const role = await createRole(database);
    const app = connectTo(role.url);
    try {
      await app.unsafe(`create temporary table aggregate_source (id bigint, readings regclass)`);
      const [{ config }] = (await database.sql`
        select proconfig as config from pg_proc where proname = 'sensors_sensoraggregate_unsettled' and prosecdef`) as unknown as [
        { config: string[] },
      ];
      expect(config).toEqual(['search_path=pg_catalog, pg_temp']);
      const [{ ranges }] = (await app`
        select ranges::text from sensors_sensoraggregate_unsettled('public.sensors_sensorreading', null, null, null)`) as unknown as [
        { ranges: string },
      ];
      expect(ranges).toBe('{["2026-03-10 12:00:00+00",)}');
    } finally {
      await app.end();
      await dropRoles(database.sql, [role]);
    }
  });
});
