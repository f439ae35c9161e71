import { execFileSync } from 'node:child_process';
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { aggregatedDatabase, DEVICE_HOURS, refresh, status, verify } from '../support/aggregates.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import { runText } from '../support/partitions.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { startServer, type TestDatabase } from '../support/server.ts';

describe('sums', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await liveDatabase();
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
      select 1, '2026-03-01 01:00+00'::timestamptz + i * interval '1 minute', (case when i % 2 = 0 then 1 else -1 end) * 1e12 + i * 0.1
        from generate_series(0, 59) i;
      insert into sensors_sensorreading (device_id, timestamp, value) values
        (1, '2026-03-01 02:00+00', 1.7e308), (1, '2026-03-01 02:01+00', 1.7e308), (1, '2026-03-01 02:02+00', -1.7e308),
        (1, '2026-03-01 03:00+00', 'NaN'), (1, '2026-03-01 03:01+00', 1),
        (1, '2026-03-01 04:00+00', 'Infinity'), (1, '2026-03-01 04:01+00', 1),
        (1, '2026-03-01 05:00+00', 1e200), (1, '2026-03-01 05:01+00', -1e200),
        (1, '2026-03-01 06:00+00', 5e-324), (1, '2026-03-01 06:01+00', 5e-324),
        (1, '2026-03-01 07:00+00', 1000), (1, '2026-03-01 07:01+00', 1000.001)`);
    await refresh(database);
  });
  afterAll(() => database.drop());

  it('that overflow, and values that are no numbers, are as they should be', async () => {
    expect(await verify(database, ['--tolerance', '0'])).toMatchObject({
      exitCode: 0,
      data: { checkedHours: 7, mismatches: [] },
    });
  });

  it.each([
    // Sixty values of 1e12 that cancel out: 0.006 is 1e-16 of them.
    ['01:00', 'value_sum = value_sum + 0.006', true],
    ['01:00', 'value_sum = value_sum + 1e6', false],
    ['01:00', 'value_sxx = value_sxx * (1 + 1e-12)', true],
    ['01:00', 'value_sxx = value_sxx * (1 + 1e-7)', false],
    // The order decides whether the sum of 1.7e308, 1.7e308 and -1.7e308 overflows.
    ['02:00', 'value_sum = 1.7e308', true],
    ['03:00', 'value_sum = 1', false],
    ['03:00', 'value_sxx = 0', false],
    ['04:00', "value_sum = 'NaN'", false],
    ['04:00', 'value_sxx = 1', false],
    ['05:00', 'value_sxx = 7', true],
    ['05:00', "value_sum = 'NaN'", false],
    ['06:00', 'value_sum = 5e-324', false],
    ['06:00', 'value_sum = 1.5e-323', false],
    // Two values of 1000 that are 0.001 apart: sxx is 5e-7 and owes 1e-9 of 1 to rounding, not more.
    ['07:00', 'value_sxx = value_sxx + 1e-13', true],
    ['07:00', 'value_sxx = value_sxx * 1.1', false],
  ])('of %s with %s are right: %s', async (hour, change, isRight) => {
    await database.sql.unsafe(`create table kept as select value_sum, value_sxx from sensors_sensoraggregate where hour = '2026-03-01 ${hour}+00';
      update sensors_sensoraggregate set ${change} where hour = '2026-03-01 ${hour}+00'`);
    try {
      const found = await verify(database);
      expect([found.exitCode, found.data.mismatchCount]).toEqual(isRight ? [0, 0] : [3, 1]);
      expect(await verify(database, ['--tolerance', '0'])).toMatchObject({ data: { checkedHours: 7 } });
    } finally {
      await database.sql.unsafe(`update sensors_sensoraggregate a set value_sum = k.value_sum, value_sxx = k.value_sxx
          from kept k where a.hour = '2026-03-01 ${hour}+00'; drop table kept`);
    }
  });

  it('that differ are equal within another tolerance, or not at all with 0', async () => {
    await database.sql.unsafe(
      "update sensors_sensoraggregate set value_sum = value_sum + 0.006 where hour = '2026-03-01 01:00+00'",
    );
    expect(await verify(database, ['--tolerance', '0'])).toMatchObject({
      exitCode: 3,
      data: { tolerance: 0, mismatchCount: 1 },
    });
    await database.sql.unsafe(
      "update sensors_sensoraggregate set value_sum = value_sum + 1e7 where hour = '2026-03-01 01:00+00'",
    );
    expect(await verify(database)).toMatchObject({ exitCode: 3 });
    expect(await verify(database, ['--tolerance', '0.001'])).toMatchObject({
      exitCode: 0,
      data: { tolerance: 0.001 },
    });
  });

  it('that JSON has no numbers for are texts', async () => {
    await database.sql.unsafe(
      "update sensors_sensoraggregate set reading_count = 3 where hour in ('2026-03-01 03:00+00', '2026-03-01 04:00+00')",
    );
    const { data } = await verify(database);
    expect(data.mismatches.filter(({ hour }: { hour: string }) => hour > '2026-03-01T02')).toMatchObject([
      {
        hour: '2026-03-01T03:00:00Z',
        differs: ['readingCount'],
        counted: { valueSum: 'NaN', valueMin: 1, valueMax: 'NaN' },
      },
      {
        hour: '2026-03-01T04:00:00Z',
        differs: ['readingCount'],
        counted: { valueSum: 'Infinity', valueSxx: 'NaN' },
      },
    ]);
  });
});

describe('hours', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await aggregatedDatabase();
  });
  afterEach(() => database.drop());

  it('at the ends of time are compared, and printed as they can be', async () => {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value) values
      (1, '-infinity', 1), (1, '4714-11-24 00:30:00+00 BC', 2), (1, '0099-12-31 23:59:59.999999+00', 3),
      (1, '294276-12-31 23:30+00', 4), (1, 'infinity', 5)`);
    await refresh(database);
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: DEVICE_HOURS + 3, uncheckedHours: { open: 2 } },
    });
    await database.sql.unsafe(
      "update sensors_sensoraggregate set reading_count = 2 where hour < '1000-01-01'",
    );
    const { data } = await verify(database);
    expect(
      data.mismatches.map(({ hour, counted }: { hour: string; counted: { lastAt: string } }) => [
        hour,
        counted.lastAt,
      ]),
    ).toEqual([
      ['-infinity', '-infinity'],
      ['-004713-11-24T00:00:00Z', '-004713-11-24T00:30:00Z'],
      ['0099-12-31T23:00:00Z', '0099-12-31T23:59:59.999999Z'],
    ]);
    expect((await status(database)).data).toMatchObject({ firstHour: '-infinity', lastHour: 'infinity' });
    await database.sql.unsafe("delete from sensors_sensoraggregate where hour = 'infinity'");
    expect((await status(database)).data.lastHour).toBe('294276-12-31T23:00:00Z');
  });

  it.each(['Asia/Kolkata', 'Australia/Lord_Howe', 'America/St_Johns'])(
    'are those of UTC, whatever %s says',
    async (zone) => {
      await database.sql.unsafe(`alter database ${database.name} set timezone to '${zone}';
      alter database ${database.name} set datestyle to 'German'; alter database ${database.name} set extra_float_digits to -15;
      update sensors_sensoraggregate set value_min = value_min - 1e-14 where device_id = 1 and hour = '2026-03-02 00:00+00'`);
      const { exitCode, data } = await verify(database, ['--from', '2026-03-02', '--to', '2026-03-03']);
      expect([exitCode, data.checkedHours]).toEqual([3, 72]);
      expect(data.mismatches).toMatchObject([{ hour: '2026-03-02T00:00:00Z', differs: ['valueMin'] }]);
      const [{ stored, counted }] = data.mismatches;
      expect(stored.valueMin).toBeLessThan(counted.valueMin);
    },
  );
});

describe('a role', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await aggregatedDatabase();
  });
  afterAll(() => database.drop());

  const refused = async (grants: (role: string) => string, said: string) => {
    const role = await createRole(database);
    try {
      await database.sql.unsafe(grants(role.name));
      for (const words of [['verify'], ['status']] as const) {
        const result = words[0] === 'verify' ? await verify(role) : await status(role);
        if (words[0] === 'status' && !said.includes('sensordb')) continue;
        expect(result).toMatchObject({
          exitCode: 1,
          error: { code: 'insufficient_privilege', sqlstate: '42501' },
        });
        expect(result.error?.message).toContain(said);
        expect(result.error?.hint).toBeTruthy();
      }
    } finally {
      await dropRoles(database.sql, [role]);
    }
  };

  it('without a right on schema sensordb is told so', () =>
    refused(
      (role) => `grant select on all tables in schema public to ${role}`,
      'no right on schema sensordb',
    ));

  it('that may not read the readings is told so', () =>
    refused(
      (
        role,
      ) => `grant usage on schema sensordb to ${role}; grant select on all tables in schema sensordb to ${role};
      grant select on sensors_sensoraggregate to ${role}`,
      'sensors_sensorreading',
    ));

  it('from whom a policy hides readings is told so, rather than of mismatches', async () => {
    await database.sql.unsafe('alter table sensors_sensorreading enable row level security');
    await refused(
      (
        role,
      ) => `grant usage on schema sensordb to ${role}; grant select on all tables in schema sensordb to ${role};
      grant select on all tables in schema public to ${role}`,
      'row-level security',
    );
    await database.sql.unsafe('alter table sensors_sensorreading disable row level security');
  });

  it('that may only read is enough', async () => {
    const role = await createRole(database);
    await database.sql.unsafe(
      `grant usage on schema sensordb to ${role.name}; grant select on all tables in schema sensordb, public to ${role.name}`,
    );
    expect(await verify(role)).toMatchObject({ exitCode: 0, data: { checkedHours: DEVICE_HOURS } });
    expect(await status(role)).toMatchObject({ exitCode: 0, data: { dirtyHours: 0 } });
    await dropRoles(database.sql, [role]);
  });
});

describe('bad input', () => {
  it.each([
    [['--from', 'yesterday'], 'bad_date'],
    [['--to', '2026-02-30'], 'bad_date'],
    [['--from', '2026-03-02', '--to', '2026-03-02'], 'empty_range'],
    [['--from', '2026-03-02T00:30:00Z'], 'not_an_hour'],
    [['--sample', '0'], 'bad_share'],
    [['--sample', '1.01'], 'bad_share'],
    [['--sample', 'half'], 'bad_share'],
    [['--sample', ''], 'bad_share'],
    [['--sample', '0x1'], 'bad_share'],
    [['--seed', '3'], 'seed_without_sample'],
    [['--sample', '0.1', '--seed', '-3'], 'bad_number'],
    [['--tolerance', '1'], 'bad_tolerance'],
    [['--tolerance', '-1e-9'], 'bad_tolerance'],
    [['--tolerance', 'NaN'], 'bad_tolerance'],
  ])('such as %j exits 2 before anything is connected', async (words, code) => {
    const result = await verify({ url: 'postgresql://u@127.0.0.1:1/d' }, words);
    expect(result).toMatchObject({ exitCode: 2, error: { code, hint: expect.any(String) } });
  });
});

it('a standby can be verified, and asked for its status', async () => {
  const primary = await startServer({ settings: { synchronous_commit: 'on' } });
  const source = await aggregatedDatabase(primary.url);
  await source.sql.unsafe(
    `update sensors_sensoraggregate set reading_count = 9 where device_id = 1 and hour = '2026-03-02+00'`,
  );
  await source.leave();
  await primary.kill();
  const standby = await startServer({
    prepare: async (dataDirectory, account) => {
      await rm(dataDirectory, { recursive: true });
      execFileSync('cp', ['-pR', primary.dataDirectory, dataDirectory]);
      const signal = join(dataDirectory, 'standby.signal');
      await writeFile(signal, '');
      if (account !== null) await chown(signal, account.uid, account.gid);
      await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
    },
  });
  try {
    const url = standby.url.replace('/postgres?', `/${source.name}?`);
    expect(await verify({ url })).toMatchObject({
      exitCode: 3,
      data: { checkedHours: DEVICE_HOURS, mismatchCount: 1 },
    });
    expect(await status({ url })).toMatchObject({
      exitCode: 0,
      data: { cleanUntil: '2026-03-10T12:00:00Z', gate: '2026-03-10T12:00:00Z' },
    });
    const text = await runText({ url }, ['aggregates', 'verify'], { now: NOW });
    expect(text.exitCode).toBe(3);
  } finally {
    await standby.stop();
    await primary.stop();
  }
});
