import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { addReadings, differences, LIVE, readingsDatabase, refresh } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-27T22:10:00Z', 30);
  await addReadings(database.sql, '2026-03-10T06:00:00Z', 8);
});
afterEach(() => database.drop());

const stored = 'sensors_sensoraggregate';

describe('sensors_sensoraggregate_live', () => {
  it('counts everything where no refresh has ever run', async () => {
    expect(await differences(database.sql, LIVE)).toEqual([]);
    expect(await database.sql`select from ${database.sql(stored)}`).toHaveLength(0);
    expect((await database.sql.unsafe(`select from ${LIVE}`)).length).toBeGreaterThan(90);
  });

  it('counts everything where schema sensordb is there, and no source in it', async () => {
    await runCli(['migrate', 'up', '--state-only'], { url: database.url });
    expect(await database.sql`select to_regclass('sensordb.aggregate_source')::text as found`).toEqual([
      { found: 'sensordb.aggregate_source' },
    ]);
    expect(await differences(database.sql, LIVE)).toEqual([]);
  });

  it('takes the stored rows of hours in which nothing has changed since', async () => {
    await refresh(database);
    await database.sql`update sensors_sensoraggregate set value_max = value_max + 1 where hour = '2026-03-10T07:00:00Z' and device_id = 2`;
    await database.sql`update sensors_sensoraggregate set value_max = value_max + 1 where hour = '2026-03-10T12:00:00Z' and device_id = 2`;
    expect(await differences(database.sql, LIVE)).toMatchObject([
      { device_id: '2', hour: '2026-03-10 07:00:00+00', what: 'other' },
    ]);
    const ids = await database.sql`
      select hour >= '2026-03-10T12:00:00Z' as open, bool_and(id is null) as "none", bool_or(id is null) as some
        from sensors_sensoraggregate_live() group by 1 order by 1`;
    expect(ids).toEqual([
      { open: false, none: false, some: false },
      { open: true, none: true, some: true },
    ]);
  });

  it.each([
    [
      'a late insert',
      `insert into sensors_sensorreading (device_id, "timestamp", value) values (2, '2026-02-28 03:30Z', 99)`,
    ],
    [
      'a late insert into a leaf',
      `insert into sensors_sensorreading_2026_02 (device_id, "timestamp", value) values (2, '2026-02-28 03:30Z', 99)`,
    ],
    [
      'an update',
      `update sensors_sensorreading set value = value + 64 where "timestamp" < '2026-02-28 02:00Z'`,
    ],
    [
      'an update that moves an hour',
      `update sensors_sensorreading set "timestamp" = "timestamp" + interval '1 hour' where "timestamp" = '2026-02-28 00:09Z'`,
    ],
    [
      'an update that moves a device',
      `update sensors_sensorreading set device_id = 3 where device_id = 1 and "timestamp" < '2026-02-28 02:00Z'`,
    ],
    [
      'an update that moves a month',
      `update sensors_sensorreading set "timestamp" = "timestamp" + interval '20 days' where "timestamp" < '2026-02-28 01:00Z'`,
    ],
    [
      'the delete of an hour',
      `delete from sensors_sensorreading where device_id = 2 and "timestamp" >= '2026-02-28 05:00Z' and "timestamp" < '2026-02-28 06:00Z'`,
    ],
    ['the truncation of a leaf', 'truncate sensors_sensorreading_2026_02'],
    ['the truncation of all', 'truncate sensors_sensorreading'],
    [
      'a leaf that is attached with rows',
      `create table filled (like sensors_sensorreading including defaults);
       insert into filled (device_id, "timestamp", value) select 1, '2026-01-15Z', n from generate_series(1, 4) n;
       alter table sensors_sensorreading attach partition filled for values from ('2026-01-01') to ('2026-02-01')`,
    ],
    [
      'readings of the open hour',
      `insert into sensors_sensorreading (device_id, "timestamp", value) values (1, '2026-03-10 12:30Z', 4)`,
    ],
    [
      'readings of the future',
      `insert into sensors_sensorreading (device_id, "timestamp", value) values (1, '2026-12-31 23:59:59.999999Z', 4), (1, '2031-01-01Z', 5)`,
    ],
    [
      'readings of bad clocks',
      `insert into sensors_sensorreading (device_id, "timestamp", value)
       select d, t::timestamptz, 8 from generate_series(1, 2) d, unnest(array['infinity', '-infinity', '52217-05-05 05:05Z',
         '294276-12-31 23:59:59.999999Z', '4714-11-24 00:00Z BC', '1969-12-31 23:59:59.999999Z', '0001-01-01 00:00Z']) t`,
    ],
    [
      'readings that are no numbers',
      `insert into sensors_sensorreading (device_id, "timestamp", value) values
         (1, '2026-02-28 03:30Z', 'NaN'), (2, '2026-03-10 12:30Z', 'NaN'), (3, '2026-03-10 12:30Z', 'infinity'), (3, '2026-02-28 03:30Z', '-infinity')`,
    ],
    [
      'triggers that are disabled',
      `alter table sensors_sensorreading disable trigger user; delete from sensors_sensorreading where device_id = 2`,
    ],
    [
      'a load by a replica',
      `set session_replication_role = replica; delete from sensors_sensorreading where device_id = 2; reset session_replication_role`,
    ],
  ])('is right after %s, and once more when that has been refreshed', async (_, change) => {
    await refresh(database);
    expect(await differences(database.sql, stored)).toEqual([]);
    await database.sql.unsafe(change);
    expect(await differences(database.sql, stored)).not.toEqual([]);
    expect(await differences(database.sql, LIVE)).toEqual([]);
    for (const device of [1, 2, 3]) {
      expect(
        await differences(
          database.sql,
          `sensors_sensoraggregate_live(null, null, ${device})`,
          `device_id = ${device}`,
        ),
      ).toEqual([]);
    }
    const [since, until] = ['2026-02-28T03:00:00Z', '2026-03-10T13:00:00Z'];
    const part = `hour >= '${since}' and hour < '${until}'`;
    expect(
      await differences(database.sql, `sensors_sensoraggregate_live('${since}', '${until}')`, part),
    ).toEqual([]);
    await refresh(database);
    expect(await differences(database.sql, LIVE)).toEqual([]);
  });

  it('keeps the rows of a leaf that was detached, whatever has become of its table', async () => {
    await refresh(database);
    const february = () =>
      database.sql`select device_id, hour, reading_count, value_sum, last_value from sensors_sensoraggregate_live(until => '2026-03-01Z') order by 1, 2`;
    const before = await february();
    await database.sql`insert into sensors_sensorreading (device_id, "timestamp", value) values (2, '2026-02-28 03:30Z', 99)`;
    await database.sql`alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02`;
    expect(before.length).toBeGreaterThan(60);
    expect(await february()).toEqual(before);
    await database.sql`drop table sensors_sensorreading_2026_02`;
    expect(await february()).toEqual(before);
    await refresh(database);
    expect(await february()).toEqual(before);
    expect(await differences(database.sql, LIVE, `hour >= '2026-03-01Z'`)).toEqual([]);
  });

  it('gives the hours that begin in the time asked for, the first of it and not the last', async () => {
    const hours = async (since: string | null, until: string | null) => {
      const rows = await database.sql`
        select hour::text as hour from sensors_sensoraggregate_live(${since}::text::timestamptz, ${until}::text::timestamptz, 2) order by 1`;
      return rows.map(({ hour }) => hour.slice(11, 16));
    };
    expect(await hours('2026-03-10T06:00:00Z', '2026-03-10T08:00:00Z')).toEqual(['06:00', '07:00']);
    expect(await hours('2026-03-10T06:00:00.000001Z', '2026-03-10T08:00:00.000001Z')).toEqual([
      '07:00',
      '08:00',
    ]);
    expect(await hours('2026-03-10T12:59:00Z', null)).toEqual(['13:00']);
    expect(await hours('2026-03-10T08:00:00Z', '2026-03-10T08:00:00Z')).toEqual([]);
    expect(await hours('2026-03-10T08:00:00Z', '2026-03-10T06:00:00Z')).toEqual([]);
    expect(await hours('294276-12-31T23:30:00Z', null)).toEqual([]);
    expect(await hours('infinity', 'infinity')).toEqual([]);
  });

  it('says NaN where sums overflow, as the stored rows do, and averages what division would take to nothing', async () => {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, "timestamp", value) values
      (1, '2026-03-05 05:00Z', 1.7e308), (1, '2026-03-05 05:01Z', 1.7e308), (1, '2026-03-05 06:00Z', 1e200), (1, '2026-03-05 06:01Z', 3e200),
      (1, '2026-03-05 07:00Z', 1.7e308), (2, '2026-03-05 05:00Z', 5e-324), (2, '2026-03-05 05:01Z', -1e-323), (3, '2026-03-05 05:00Z', 1e140),
      (3, '2026-03-05 05:01Z', 1e140)`);
    const columns = `device_id, hour, reading_count, value_sum, value_avg, value_min, value_max, value_sxx, first_at, first_value, last_at,
      last_value, value_sketch`;
    const live = () =>
      database.sql.unsafe(
        `select ${columns} from sensors_sensoraggregate_live('2026-03-05Z', '2026-03-06Z') order by 1, 2`,
      );
    const counted = await live();
    await refresh(database);
    expect(await live()).toEqual(counted);
    expect(counted.map(({ value_sum, value_sxx }) => [value_sum, value_sxx])).toEqual([
      [Number.NaN, Number.NaN],
      [4e200, Number.NaN],
      [1.7e308, 0],
      [-5e-324, 0],
      [2e140, 0],
    ]);
    await database.sql`update sensors_sensorreading set id = id where "timestamp" between '2026-03-05Z' and '2026-03-06Z'`;
    expect(await live()).toEqual(counted);
  });
});
