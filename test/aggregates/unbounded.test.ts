import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-27', 48);
});
afterEach(() => database.drop());

const row = (at: string, value = 5): string =>
  `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '${at}', ${value});`;

async function refresh() {
  const result = await runJson(database, ['aggregates', 'refresh'], { now: '2026-03-10T12:00:00Z' });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return result;
}

const stored = async (where: string) => [
  ...(await database.sql.unsafe(
    `select a::text as line, a.xmin::text from sensors_sensoraggregate a where ${where} order by a.hour`,
  )),
];

const OUTSIDE = "hour < '2026-02-01Z' or hour >= '2026-04-01Z'";

describe('aggregates of rows that DEFAULT held', () => {
  const INSTANTS = ['-infinity', '2020-01-01 10:00Z', '2026-04-20 10:00Z', '294276-12-31 23:30Z', 'infinity'];

  it.each([
    ['detached', 'alter table sensors_sensorreading detach partition sensors_sensorreading_default'],
    ['dropped', 'drop table sensors_sensorreading_default'],
  ])('stand when it was %s, and keep no other hours from being counted', async (_, leave) => {
    await database.sql.unsafe(INSTANTS.map((at) => row(at)).join(''));
    await refresh();
    const before = await stored(OUTSIDE);
    expect(before).toHaveLength(INSTANTS.length);
    await database.sql.unsafe(leave);
    await refresh();
    expect(await stored(OUTSIDE)).toEqual(before);
    await database.sql.unsafe(`create table another partition of sensors_sensorreading default;
      create table sensors_sensorreading_2026_04 partition of sensors_sensorreading for values from ('2026-04-01Z') to ('2026-05-01Z');
      ${INSTANTS.map((at) => row(at, 6)).join('')}`);
    await refresh();
    expect(await stored(OUTSIDE)).toEqual(before);
    await database.sql.unsafe(
      `${row('2020-01-01 09:00Z')} ${row('2026-04-20 11:00Z')} ${row('2400-01-01 00:00Z')}`,
    );
    await refresh();
    const others = INSTANTS.map((at) => `date_trunc('hour', timestamptz '${at}')`).join();
    expect(await stored(`(${OUTSIDE}) and hour in (${others})`)).toEqual(before);
    expect([
      ...(await differences(database.sql, 'sensors_sensoraggregate', `hour not in (${others})`)),
    ]).toEqual([]);
  });

  it('are counted again when it is back', async () => {
    await database.sql.unsafe(INSTANTS.map((at) => row(at)).join(''));
    await refresh();
    await database.sql.unsafe(
      'alter table sensors_sensorreading detach partition sensors_sensorreading_default',
    );
    await refresh();
    await database.sql.unsafe(`delete from sensors_sensorreading_default where timestamp = '2020-01-01 10:00Z';
      alter table sensors_sensorreading attach partition sensors_sensorreading_default default`);
    await refresh();
    expect([...(await differences(database.sql, 'sensors_sensoraggregate'))]).toEqual([]);
  });
});

it.each([
  ['without a lower bound', "(minvalue) to ('2026-02-01Z')", '2020-01-01 10:00Z'],
  ['without an upper bound', "('2027-01-01Z') to (maxvalue)", '2027-01-01 10:00Z'],
])('aggregates of a leaf %s stand when it was dropped', async (_, bounds, at) => {
  await database.sql.unsafe(
    `create table wide partition of sensors_sensorreading for values from ${bounds}; ${row(at)}`,
  );
  await refresh();
  const before = await stored(OUTSIDE);
  expect(before).toHaveLength(1);
  await database.sql.unsafe('drop table wide');
  await refresh();
  await database.sql.unsafe(row(at, 6));
  await refresh();
  expect(await stored(OUTSIDE)).toEqual(before);
});

it('a leaf that takes the place of another in one transaction leaves the aggregates as they are', async () => {
  await refresh();
  const before = await stored('true');
  await database.sql.begin(async (sql) => {
    await sql.unsafe(`create table another (like sensors_sensorreading including defaults);
      insert into another (device_id, timestamp, value) values (2, '2026-02-27 05:00Z', 1);
      alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02;
      alter table sensors_sensorreading attach partition another for values from ('2026-02-01') to ('2026-03-01')`);
  });
  await refresh();
  expect(await stored('true')).toEqual(before);
});

it('a TRUNCATE that was rolled back is none, and one with rows after it is', async () => {
  await refresh();
  const undone = database.connect();
  await undone.unsafe('begin; truncate sensors_sensorreading; rollback');
  expect((await refresh()).data).toMatchObject({ counted: 0 });
  await undone.unsafe(
    `begin; truncate sensors_sensorreading_2026_02; ${row('2026-02-27 03:00Z')} savepoint s; truncate sensors_sensorreading; rollback to s; commit`,
  );
  await refresh();
  expect([...(await differences(database.sql, 'sensors_sensoraggregate'))]).toEqual([]);
});
