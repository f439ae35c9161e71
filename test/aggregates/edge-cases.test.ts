import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-27', 48);
  await refresh();
});
afterEach(() => database.drop());

async function refresh(now = '2026-03-10T12:00:00Z') {
  const result = await runJson(database, ['aggregates', 'refresh'], { now });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return result;
}

/** Makes a change, refreshes, and compares all aggregates with a recount. */
async function exactAfter(change: string) {
  await database.sql.unsafe(change);
  const result = await refresh();
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  return result;
}

const insert = (...rows: readonly string[]): string =>
  `insert into sensors_sensorreading (device_id, timestamp, value) values ${rows.map((row) => `(${row})`).join(', ')}`;

describe('a refresh is exact after', () => {
  it.each([
    [
      'an UPDATE that moves an hour',
      `update sensors_sensorreading set timestamp = timestamp + interval '90 minutes' where device_id = 1`,
    ],
    ['an UPDATE that moves a device', 'update sensors_sensorreading set device_id = 2 where device_id = 1'],
    [
      'an UPDATE that moves a month',
      `update sensors_sensorreading set timestamp = timestamp + interval '2 days' where timestamp < '2026-02-28'`,
    ],
    [
      'an UPDATE into DEFAULT',
      `update sensors_sensorreading set timestamp = timestamp - interval '1 year' where device_id = 1`,
    ],
    [
      'a DELETE of the last row of an hour',
      `delete from sensors_sensorreading where device_id = 1 and timestamp < '2026-02-28'`,
    ],
    ['TRUNCATE of a leaf', 'truncate sensors_sensorreading_2026_02'],
    ['TRUNCATE of the table', 'truncate sensors_sensorreading'],
    ['VACUUM FULL of a leaf', 'vacuum full sensors_sensorreading_2026_02'],
    [
      'INSERT into a leaf',
      insert(`1, '2026-02-28 10:00+00', 5`).replace('sensors_sensorreading', 'sensors_sensorreading_2026_02'),
    ],
    [
      'an upsert',
      `${insert(`1, '2026-02-28 10:00+00', 5`)} on conflict (id, timestamp) do update set value = 6`,
    ],
    ['rows in DEFAULT', insert(`1, '2020-01-01 10:00+00', 5`, `1, '2025-12-31 23:59:59.999999+00', 6`)],
    [
      'rows at the edges of leaves',
      insert(`1, '2026-03-01 00:00+00', 5`, `1, '2026-02-28 23:59:59.999999+00', 6`),
    ],
    [
      'rows of the open hour, and of the future',
      insert(`1, '2026-03-10 12:10+00', 5`, `1, '2026-03-31 23:00+00', 6`, `2, '2400-01-01 00:30+00', 7`),
    ],
    ['rows at infinity', insert(`1, 'infinity', 5`, `1, '-infinity', 6`, `2, '-infinity', 7`)],
    [
      'rows from the beginning and the end of time',
      insert(
        `1, '4714-11-24 00:30+00 BC', 1`,
        `1, '4713-01-01 00:00+00 BC', 2`,
        `1, '1899-12-31 23:00+00', 3`,
        `1, '294276-12-31 23:59+00', 4`,
        `2, '52217-05-05 05:05+00', 5`,
      ),
    ],
    [
      'NaN and infinite values',
      insert(
        `1, '2026-02-28 10:01+00', 'NaN'`,
        `2, '2026-02-28 10:01+00', 'infinity'`,
        `3, '2026-02-28 10:01+00', '-infinity'`,
        `3, '2026-02-28 10:02+00', 'infinity'`,
      ),
    ],
    [
      'readings of the same instant',
      insert(`1, '2026-02-28 10:00+00', 3`, `1, '2026-02-28 10:00+00', 1`, `1, '2026-02-28 10:00+00', 2`),
    ],
    [
      'ATTACH of a filled leaf',
      `create table filled (like sensors_sensorreading including defaults);
      insert into filled (device_id, timestamp, value) select 1, '2026-01-05Z'::timestamptz + n * interval '11 minutes', n from generate_series(1, 50) n;
      alter table sensors_sensorreading attach partition filled for values from ('2026-01-01Z') to ('2026-02-01Z')`,
    ],
    [
      'leaves whose bounds are not whole hours',
      `create table odd_1 partition of sensors_sensorreading for values from ('2026-01-01 00:20Z') to ('2026-01-01 00:40Z');
      create table odd_2 partition of sensors_sensorreading for values from ('2026-01-01 00:40Z') to ('2026-01-01 07:13Z');
      ${insert(`1, '2026-01-01 00:10+00', 1`, `1, '2026-01-01 00:30+00', 2`, `1, '2026-01-01 00:50+00', 3`, `1, '2026-01-01 07:50+00', 4`)}`,
    ],
    [
      'a leaf that is partitioned itself',
      `create table sub partition of sensors_sensorreading for values from ('2026-01-01Z') to ('2026-02-01Z') partition by hash (id);
      create table sub_0 partition of sub for values with (modulus 2, remainder 0); create table sub_1 partition of sub for values with (modulus 2, remainder 1);
      ${insert(`1, '2026-01-05 10:00+00', 1`, `2, '2026-01-05 10:00+00', 2`)}; truncate sub_0`,
    ],
  ])('%s', async (_, change) => {
    await exactAfter(change);
    // And nothing is left to do.
    expect(await refresh()).toMatchObject({ data: { written: 0, removed: 0 } });
  });
});

it('one transaction at two hours has exactly those two counted again', async () => {
  const { data } = await exactAfter(
    `${insert(`1, '2026-02-28 10:10+00', 5`)}; ${insert(`1, '2026-02-28 15:10+00', 5`)}`,
  );
  expect(data).toMatchObject({ counted: 2, written: 2 });
});

it('an hour whose sums overflow has NaN sums, is reported, and stops no other', async () => {
  await database.sql.unsafe(
    insert(
      `1, '2026-02-28 10:01+00', 1.7e308`,
      `1, '2026-02-28 10:02+00', 1.7e308`,
      `2, '2026-02-28 11:00+00', 7`,
    ),
  );
  const { warnings } = await refresh();
  expect(warnings.filter(({ code }) => code === 'sums_overflow')).toMatchObject([
    { message: expect.stringMatching(/1 device-hour .* device 1 at 2026-02-28/) },
  ]);
  const rows = await database.sql`
    select value_sum, value_sxx, value_max from sensors_sensoraggregate where value_sum = 'NaN' or value_sxx = 'NaN'`;
  expect(rows).toEqual([{ value_sum: Number.NaN, value_sxx: Number.NaN, value_max: 1.7e308 }]);
  const [other] =
    await database.sql`select last_value from sensors_sensoraggregate where device_id = 2 and hour = '2026-02-28 11:00+00'`;
  expect(other).toBeDefined();
});

describe('hours of a leaf that left by plain SQL', () => {
  it.each([
    ['detached', 'alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02'],
    ['dropped', 'drop table sensors_sensorreading_2026_02'],
  ])('are kept as they were when it was %s, whatever comes late', async (_, leave) => {
    const stored = async () => [
      ...(await database.sql`select *, xmin::text from sensors_sensoraggregate where hour < '2026-03-01' order by id`),
    ];
    const before = await stored();
    await database.sql.unsafe(leave);
    await refresh();
    expect(await stored()).toEqual(before);
    await database.sql.unsafe(insert(`1, '2026-02-28 10:00+00', 99`, `1, '2026-03-02 10:00+00', 98`));
    const late = await refresh();
    expect(late.warnings.map(({ code }) => code)).toContain('retired_hours_changed');
    expect(late.data).toMatchObject({ skipped: 1, written: 1 });
    expect(await stored()).toEqual(before);
  });
});

it.each(['Asia/Kolkata', 'Australia/Lord_Howe', 'Europe/Berlin'])(
  'the same rows come out for a role in %s',
  async (zone) => {
    await database.sql.unsafe(
      `alter database "${database.name}" set timezone to '${zone}'; alter database "${database.name}" set datestyle to 'German, DMY'`,
    );
    await exactAfter(
      insert(`1, '2026-02-28 10:10+00', 5`, `1, '2026-10-25 00:30+00', 5`, `1, '2026-03-29 01:30+00', 5`),
    );
  },
);

it('the log is short again after 100,000 late rows', async () => {
  await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
    select 1 + n % 3, '2026-02-27Z'::timestamptz + n % 172000 * interval '1 second', n from generate_series(1, 100000) n`);
  await refresh();
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  // An autovacuum that is at it already has the lock, and does the same.
  await until('the log is short', async () => {
    const [log] = await database.sql`select pg_relation_size('sensordb.aggregate_change') as bytes`;
    return log?.bytes === '0';
  });
});

it('late rows all over hundreds of leaves are counted without the locks of all of them at once', async () => {
  for (const part of [0, 1, 2]) {
    await database.sql.unsafe(`do $$ begin for d in ${part * 200} .. ${part * 200 + 199} loop
      execute format('create table d%s partition of sensors_sensorreading for values from (%L) to (%L)', d,
                     '2020-01-01Z'::timestamptz + d * interval '1 day', '2020-01-02Z'::timestamptz + d * interval '1 day');
      end loop; end $$`);
  }
  await refresh();
  await database.sql`insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, '2020-01-01Z'::timestamptz + d * interval '1 day', d from generate_series(0, 599) d`;
  let most = 0;
  const proxy = await startProxy(database.url, {
    after: async ({ text, backendPid }) => {
      if (!text.includes('sensordb.moments(r.value)')) return;
      const [held] = await database.sql<{ n: number }[]>`
        select count(*)::int as n from pg_locks where pid = ${backendPid ?? 0} and locktype = 'relation'`;
      most = Math.max(most, held?.n ?? 0);
    },
  });
  expect(
    await runJson({ url: proxy.url }, ['aggregates', 'refresh'], { now: '2026-03-10T12:00:00Z' }),
  ).toMatchObject({
    exitCode: 0,
    data: { written: 600 },
  });
  await proxy.close();
  expect(most).toBeGreaterThan(500);
  expect(most).toBeLessThan(4 * 520);
  expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
});

it('two tables of two schemas, with odd names, are kept apart', async () => {
  await database.sql.unsafe(`create schema "we.ird"`);
  expect(await runJson(database, ['migrate', 'up', '--schema', 'we.ird'])).toMatchObject({ exitCode: 0 });
  await database.sql.unsafe(`insert into "we.ird".sensors_device (name, serial_number) values ('a', 'a');
    insert into "we.ird".sensors_sensorreading (device_id, timestamp, value) values (1, '2026-02-28 10:00+00', 5)`);
  const other = ['aggregates', 'refresh', '--table', '"we.ird".sensors_sensorreading'];
  expect(await runJson(database, other)).toMatchObject({ exitCode: 0, data: { written: 1 } });
  await exactAfter(insert(`1, '2026-02-28 10:10+00', 5`));
  expect(await runJson(database, other)).toMatchObject({ exitCode: 0, data: { written: 0 } });
});

it('readings that a policy hides are not left out: it says so instead', async () => {
  await database.sql.unsafe(`create role keeper_${database.name} login; grant keeper_${database.name} to current_user;
    alter table sensors_sensorreading owner to keeper_${database.name}; alter table sensors_sensorreading_2026_03 owner to keeper_${database.name};
    alter table sensors_sensorreading_2026_02 owner to keeper_${database.name}; alter table sensors_sensorreading_default owner to keeper_${database.name};
    alter table sensors_sensoraggregate owner to keeper_${database.name}; grant usage, create on schema sensordb to keeper_${database.name};
    grant all on all tables in schema sensordb to keeper_${database.name}; grant all on all sequences in schema sensordb to keeper_${database.name};
    alter table sensors_sensorreading enable row level security; alter table sensors_sensorreading force row level security;
    create policy few on sensors_sensorreading using (device_id = 1); ${insert(`2, '2026-02-28 10:10+00', 5`)}`);
  const url = database.url.replace('//postgres@', `//keeper_${database.name}@`);
  const result = await runJson({ url }, ['aggregates', 'refresh']);
  expect(result).toMatchObject({
    exitCode: 1,
    error: { sqlstate: '42501', object: expect.stringContaining('sensors_sensorreading') },
  });
  await database.sql.unsafe(
    `reassign owned by keeper_${database.name} to current_user; drop owned by keeper_${database.name}; drop role keeper_${database.name}`,
  );
});
