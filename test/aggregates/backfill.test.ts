import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli, spawnCli } from '../support/cli.ts';
import { NOW, until } from '../support/live.ts';
import { expectPrintedLocks } from '../support/lock-watch.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-20', 24 * 18);
  // By these estimates each leaf is several pieces.
  await database.sql`analyze`;
  await database.sql.unsafe(`create function weigh(leaf regclass) returns void language sql as
    $$ update pg_class set reltuples = 5e6 where oid = leaf $$;
    select weigh('sensors_sensorreading_2026_02'), weigh('sensors_sensorreading_2026_03')`);
});
afterEach(() => database.drop());

const BACKFILL = ['aggregates', 'backfill'];

async function backfill(words: readonly string[] = []) {
  return await runJson(database, [...BACKFILL, ...words], { now: NOW });
}

async function stored(): Promise<number> {
  const [row] = await database.sql<{ n: number }[]>`select count(*)::int as n from sensors_sensoraggregate`;
  return row?.n ?? 0;
}

async function pending(): Promise<readonly string[]> {
  const rows = await database.sql<{ range: string }[]>`
    select format('%s %s', lower_bound, upper_bound) as range from sensordb.aggregate_pending order by lower_bound`;
  return rows.map(({ range }) => range);
}

describe('backfill', () => {
  it.each([['1'], ['2']])(
    'counts all of history with --jobs %s, and then has nothing to do',
    async (jobs) => {
      const first = await backfill(['--jobs', jobs]);
      expect(first).toMatchObject({
        exitCode: 0,
        changed: true,
        data: { cleanUntil: '2026-03-10T12:00:00Z', removed: 0 },
      });
      expect(first.data.pieces).toBeGreaterThan(4);
      expect(first.data.written).toBe(await stored());
      expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
      expect(await backfill(['--jobs', jobs])).toMatchObject({
        exitCode: 0,
        changed: false,
        data: { pieces: 0, written: 0, removed: 0 },
      });
    },
  );

  it('counts what is asked for, and leaves the rest on the list', async () => {
    await backfill(['--from', '2026-02-25', '--to', '2026-03-02']);
    const [range] =
      await database.sql`select min(hour)::text as first, max(hour)::text as last from sensors_sensoraggregate`;
    expect(range).toEqual({ first: '2026-02-25 00:00:00+00', last: '2026-03-01 23:00:00+00' });
    expect(await pending()).toEqual(
      expect.arrayContaining([expect.stringMatching(/ 2026-02-25 00:00:00\+00$/)]),
    );
    await backfill();
    expect(await pending()).toEqual([]);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });

  it('counts a range again with --recount, and that range alone', async () => {
    await backfill();
    await database.sql`update sensors_sensoraggregate set value_sum = -1`;
    await backfill();
    expect(await backfill(['--from', '2026-03-01', '--to', '2026-03-03', '--recount'])).toMatchObject({
      changed: true,
    });
    const wrong = await database.sql<{ n: number }[]>`
      select count(*)::int as n from sensors_sensoraggregate
       where (value_sum = -1) = (hour >= '2026-03-01' and hour < '2026-03-03')`;
    expect(wrong).toEqual([{ n: 0 }]);
  });

  it('takes the rows that are there for all there are with --recount, of a range whose leaf had gone', async () => {
    await backfill();
    await database.sql.unsafe(
      'alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02',
    );
    const before = await stored();
    await backfill();
    expect(await stored()).toBe(before);
    await backfill(['--from', '2026-02-01', '--to', '2026-03-01', '--recount']);
    expect(await stored()).toBeLessThan(before);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });

  it.each([
    [['--from', 'yesterday'], 'bad_date'],
    [['--from', '2026-03-02', '--to', '2026-03-01'], 'empty_range'],
    [['--from', '2026-03-01T00:30:00Z'], 'not_an_hour'],
    [['--jobs', '0'], 'bad_number'],
    [['--jobs', '33'], 'bad_number'],
    [['--jobs', 'many'], 'bad_number'],
    [['--recount'], 'recount_without_range'],
    [['--max-lag', '10'], 'bad_duration'],
    [['--max-wal-rate', '20'], 'bad_rate'],
    [['--max-wal-rate', '0MB'], 'bad_rate'],
    [['--table', 'sensors_device'], 'not_partitioned'],
  ])('refuses %j before it changes anything', async (words, code) => {
    const result = await backfill(words);
    expect(result).toMatchObject({
      exitCode: 2,
      ok: false,
      error: { code, hint: expect.stringMatching(/.+/) },
    });
    expect(await database.sql`select to_regclass('sensordb.aggregate_source') as made`).toEqual([
      { made: null },
    ]);
  });

  it('refuses a partitioned table without the columns of readings, and one without a table of aggregates', async () => {
    await database.sql.unsafe(`create table t (id bigint, device_id bigint, "timestamp" timestamptz) partition by range ("timestamp");
      create schema s; create table s.sensors_sensorreading (like sensors_sensorreading) partition by range ("timestamp")`);
    expect(await backfill(['-t', 't'])).toMatchObject({
      exitCode: 2,
      error: { code: 'not_readings', message: expect.stringContaining('no column value') },
    });
    expect(await backfill(['-t', 's.sensors_sensorreading'])).toMatchObject({
      exitCode: 2,
      error: { code: 'no_aggregates' },
    });
  });
});

describe('a table beside that of the readings', () => {
  const COLUMNS = 'id bigint not null, device_id bigint not null, "timestamp" timestamptz not null';

  it('whose device or value may be null is refused, and may be written as before', async () => {
    await database.sql.unsafe(`create schema s; create table s.sensors_sensoraggregate (like sensors_sensoraggregate including all);
      create table s.r (${COLUMNS}, value double precision) partition by range ("timestamp");
      create table s.r_default partition of s.r default; insert into s.r values (1, 1, '2026-03-01', null)`);
    expect(await backfill(['-t', 's.r'])).toMatchObject({
      exitCode: 2,
      error: { code: 'not_readings', message: expect.stringContaining('its column value may be null') },
    });
    await database.sql.unsafe(`insert into s.r values (2, 1, '2026-03-01', null)`);
  });

  it.each([['refresh'], ['backfill']])('does not erase its aggregates by a %s', async (verb) => {
    await backfill();
    const before = await stored();
    await database.sql.unsafe(`create table other (${COLUMNS}, value double precision not null) partition by range ("timestamp");
      create table other_default partition of other default; insert into other values (1, 1, '2026-03-01', 1)`);
    for (const words of [['--dry-run'], []]) {
      expect(
        await runJson(database, ['aggregates', verb, '-t', 'other', ...words], { now: NOW }),
      ).toMatchObject({
        exitCode: 2,
        error: { code: 'aggregates_of_other', message: expect.stringContaining('sensors_sensorreading') },
      });
    }
    expect(await stored()).toBe(before);
    // Whose own table is gone holds them no more.
    await database.sql.unsafe('drop table sensors_sensorreading cascade');
    expect(await runJson(database, ['aggregates', verb, '-t', 'other'], { now: NOW })).toMatchObject({
      exitCode: 0,
    });
    expect(await stored()).toBe(1);
  });
});

describe('a backfill that is stopped', () => {
  it.each([
    ['SIGKILL', null],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'by %s keeps what it committed, and the next run goes on from there',
    async (signal, exitCode) => {
      let kill = () => {};
      const proxy = await startProxy(database.url, {
        before: ({ text }) => {
          // The latest come first: by then March is counted.
          if (text.includes('sensordb.moments(r.value)') && text.includes("'2026-02-")) kill();
        },
      });
      const run = spawnCli([...BACKFILL, '--json'], { url: proxy.url });
      kill = () => run.kill(signal);
      expect((await run.ended).exitCode).toBe(exitCode);
      await until('its session is gone', async () => {
        const left =
          await database.sql`select from pg_stat_activity where datname = current_database() and application_name = 'sensordb'`;
        return left.length === 0;
      });
      const done = await stored();
      expect(done).toBeGreaterThan(0);
      const left = await pending();
      expect(left.length).toBeGreaterThan(0);
      const second = await runCli([...BACKFILL, '--json'], { url: database.url });
      expect(second.json().ok).toBe(true);
      // What was counted before is not counted again.
      expect(second.json().data.counted).toBe((await stored()) - done);
      expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
      await proxy.close();
    },
  );

  it('by the end of one of its connections cancels the others, and says why', async () => {
    const backends = new Set<number>();
    const proxy = await startProxy(database.url, {
      before: async ({ text, backendPid }) => {
        if (!text.includes('sensordb.moments(r.value)')) return;
        backends.add(backendPid);
        if (backends.size === 2) await database.sql`select pg_terminate_backend(${backendPid}, 5000)`;
      },
    });
    const { exitCode, json } = await runCli([...BACKFILL, '--jobs', '2', '--json'], {
      url: proxy.url,
      now: NOW,
    });
    expect([exitCode, json().error?.code]).toEqual([1, 'connection_lost']);
    await proxy.close();
    await backfill();
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });
});

describe('two backfills', () => {
  it('do not overlap: the second says no, or waits', async () => {
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (!text.includes('sensordb.moments(r.value)') || others.length > 0) return;
        others.push(await runJson(database, [...BACKFILL, '--wait', '0s'], { now: NOW }));
      },
    });
    const others: Awaited<ReturnType<typeof runJson>>[] = [];
    const first = await runCli([...BACKFILL, '--json'], { url: proxy.url, now: NOW });
    expect(first.exitCode).toBe(0);
    expect(others).toMatchObject([{ exitCode: 5, error: { code: 'locked' } }]);
    await proxy.close();
  });

  it('of which one lost its lock count no range twice', async () => {
    // The connections that count beside it go on when the one that holds the lock is gone.
    let second: Promise<unknown> | null = null;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (!text.includes('sensordb.moments(r.value)') || second !== null) return;
        await database.sql`select pg_terminate_backend(l.pid, 5000) from pg_locks l where l.locktype = 'advisory'
          and l.database = (select oid from pg_database where datname = current_database())`;
        second = backfill();
        await second;
      },
    });
    await runCli([...BACKFILL, '--jobs', '3', '--json'], { url: proxy.url, now: NOW });
    await second;
    await proxy.close();
    await backfill();
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });
});

describe('--dry-run', () => {
  it('of a first backfill prints the locks that it takes', async () => {
    await expectPrintedLocks(database, BACKFILL, { now: NOW });
  });

  it('of a later one prints the locks that it takes, and changes nothing', async () => {
    await backfill(['--from', '2026-03-01']);
    await addReadings(database.sql, '2026-03-02', 24);
    await database.sql.unsafe('truncate sensors_sensorreading_2026_02');
    const before = await pending();
    await expectPrintedLocks(database, BACKFILL, { now: '2026-03-10T15:00:00Z' });
    expect(before).not.toEqual([]);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });

  it.each([
    ['whose triggers somebody dropped', 'drop trigger sensordb_change_update on sensors_sensorreading'],
    [
      'that lost a leaf, into whose time a row came late',
      `alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02;
       insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-02-20Z', 1)`,
    ],
  ])('of a later refresh of a table %s prints what it sends', async (_, change) => {
    await backfill();
    await database.sql.unsafe(change);
    await expectPrintedLocks(database, ['aggregates', 'refresh'], { now: '2026-03-10T15:00:00Z' });
  });

  it.each([[true], [false]])(
    'of --recount shows and counts the ranges that a run counts again (set up before: %s)',
    async (isSetUp) => {
      const words = ['--from', '2026-02-25', '--to', '2026-03-03', '--recount'];
      if (isSetUp) {
        await backfill();
        await database.sql.unsafe(
          'alter table sensors_sensorreading detach partition sensors_sensorreading_2026_02',
        );
        await backfill();
      }
      const shown = await backfill([...words, '--dry-run']);
      expect(shown).toMatchObject({ exitCode: 0, changed: false });
      if (isSetUp) await expectPrintedLocks(database, [...BACKFILL, ...words], { now: NOW });
      else expect((await backfill(words)).data.pieces).toBe(shown.data.pieces);
      expect(shown.data.pieces).toBeGreaterThan(1);
      expect(JSON.stringify(shown.data.steps)).toContain('delete from sensordb.aggregate_retired');
      expect(
        await differences(
          database.sql,
          'sensors_sensoraggregate',
          `hour >= '2026-02-25' and hour < '2026-03-03'`,
        ),
      ).toEqual([]);
    },
  );

  it('says how many readings are concerned, and about how long it takes', async () => {
    const { data, changed } = await backfill(['--dry-run']);
    expect(changed).toBe(false);
    expect(data).toMatchObject({ pieces: expect.any(Number), rowsEstimate: expect.any(Number) });
    expect(data.secondsEstimate).toBeGreaterThan(0);
    expect(await stored()).toBe(0);
    const { stdout } = await runCli([...BACKFILL, '--dry-run'], { url: database.url, now: NOW });
    expect(stdout).toMatch(/^-- concerns \d+ ranges, about [\d,]+ readings, in some [\d,]+ s\n/);
  });
});
