import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsOf, created, ensure, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const READING = `create table reading (id bigint not null, at timestamptz not null, value float8,
  primary key (id, at)) partition by range (at)`;

describe('the answer of ensure', () => {
  it('is the fixed keys, names in the order of their lower bounds, and the runway', async () => {
    await database.sql.unsafe(READING);
    await database.sql.unsafe(`create table zulu partition of reading
      for values from ('2026-04-01+00') to ('2026-05-01+00')`);
    const result = await ensure(database, ['-t', 'reading', '--months', '3']);
    expect(result).toEqual({
      exitCode: 0,
      schemaVersion: 1,
      command: 'partitions ensure',
      ok: true,
      changed: true,
      data: {
        table: { schema: 'public', name: 'reading' },
        interval: 'month',
        from: '2026-03-01T00:00:00Z',
        until: '2026-07-01T00:00:00Z',
        created: ['reading_2026_03', 'reading_2026_05', 'reading_2026_06'],
        existing: ['zulu'],
        drained: [],
        conflicts: [],
        runwayUntil: '2026-07-01T00:00:00Z',
        runwayState: 'until',
      },
      warnings: [expect.objectContaining({ code: 'clock_skew' })],
      error: null,
    });
    expect(await boundsOf(database, 'reading')).toEqual([
      ['reading_2026_03', "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')"],
      ['reading_2026_05', "FOR VALUES FROM ('2026-05-01 00:00:00+00') TO ('2026-06-01 00:00:00+00')"],
      ['reading_2026_06', "FOR VALUES FROM ('2026-06-01 00:00:00+00') TO ('2026-07-01 00:00:00+00')"],
      ['zulu', "FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00')"],
    ]);
  });

  it('is one tab-separated line a leaf off a terminal', async () => {
    await database.sql.unsafe(READING);
    const { stdout, exitCode } = await runText(database, [
      'partitions',
      'ensure',
      '-t',
      'reading',
      '--months',
      '1',
    ]);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n').map((line) => line.split('\t'))).toEqual([
      ['created', 'reading_2026_03', '2026-03-01T00:00:00Z', '2026-04-01T00:00:00Z'],
      ['created', 'reading_2026_04', '2026-04-01T00:00:00Z', '2026-05-01T00:00:00Z'],
      ['runway', 'until', '2026-05-01T00:00:00Z'],
      [''],
    ]);
  });

  it('is a table and the runway on a terminal', async () => {
    await database.sql.unsafe(READING);
    const { stdout } = await runText(database, ['partitions', 'ensure', '-t', 'reading', '--months', '1'], {
      terminal: 120,
      env: { NO_COLOR: '1', TERM: 'dumb' },
    });
    expect(stdout).toMatchInlineSnapshot(`
      "public.reading  one leaf a month, 2026-03-01 to 2026-05-01 (UTC)

      partition        from        to (exclusive)
      reading_2026_03  2026-03-01  2026-04-01      created
      reading_2026_04  2026-04-01  2026-05-01      created

      Runway: inserts start to fail on 2026-05-01, in 46 days.
      "
    `);
  });
});

describe('holes', () => {
  it('inside the range are filled, whatever the leaves around them are called', async () => {
    await database.sql.unsafe(READING);
    await database.sql.unsafe(`
      create table legacy_a partition of reading for values from ('2026-01-01+00') to ('2026-02-01+00');
      create table "P 2026/03" partition of reading for values from ('2026-03-01+00') to ('2026-04-01+00')`);
    const result = await ensure(database, ['-t', 'reading', '--from', '2026-01', '--until', '2026-05']);
    expect(result.data).toMatchObject({
      existing: ['legacy_a', 'P 2026/03'],
      created: ['reading_2026_02', 'reading_2026_04'],
    });
  });

  it('that a leaf leaves of a period get its exact bounds', async () => {
    await database.sql.unsafe(READING);
    await database.sql.unsafe(`
      create table feb partition of reading for values from ('2026-02-01+00') to ('2026-03-01+00');
      create table middle partition of reading
        for values from ('2026-03-10 06:30+00') to ('2026-03-20 00:00:00.000001+00')`);
    const result = await ensure(database, ['-t', 'reading', '--months', '0', '--interval', 'month']);
    expect(result.data).toMatchObject({
      existing: ['middle'],
      created: ['reading_2026_03', 'reading_2026_03_20_000000000001'],
      runwayUntil: '2026-04-01T00:00:00Z',
    });
    const bounds = new Map(await boundsOf(database, 'reading'));
    expect(bounds.get('reading_2026_03')).toBe(
      "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-03-10 06:30:00+00')",
    );
    expect(bounds.get('reading_2026_03_20_000000000001')).toBe(
      "FOR VALUES FROM ('2026-03-20 00:00:00.000001+00') TO ('2026-04-01 00:00:00+00')",
    );
  });
});

describe('kinds of keys', () => {
  it.each([
    ['timestamp', '2026-03-01 00:00:00', '2026-04-01 00:00:00'],
    ['date', '2026-03-01', '2026-04-01'],
    ['timestamptz(3)', '2026-03-01 00:00:00+00', '2026-04-01 00:00:00+00'],
    ['instant', '2026-03-01 00:00:00+00', '2026-04-01 00:00:00+00'],
    ['"Inner Instant"', '2026-03-01 00:00:00+00', '2026-04-01 00:00:00+00'],
  ])('%s is taken as UTC', async (type, lower, upper) => {
    await database.sql.unsafe(`create domain instant as timestamptz check (value > '2000-01-01+00');
      create domain "Inner Instant" as instant;
      create table t (at ${type} not null) partition by range (at);
      create table t_default partition of t default;
      insert into t values ('2026-04-02 12:00')`);
    const result = await ensure(database, ['-t', 't', '--months', '1']);
    expect(result.data).toMatchObject({
      created: ['t_2026_03'],
      conflicts: [
        {
          reason: 'rows_in_default',
          rows: 1,
          earliest: expect.stringMatching(/^2026-04-02/),
          lower: '2026-04-01T00:00:00Z',
        },
      ],
    });
    expect(new Map(await boundsOf(database, 't')).get('t_2026_03')).toBe(
      `FOR VALUES FROM ('${lower}') TO ('${upper}')`,
    );
    await database.sql`insert into t values ('2026-03-31 23:59:59')`;
    expect(await database.sql`select tableoid::regclass::text as leaf from t order by at`).toEqual([
      { leaf: 't_2026_03' },
      { leaf: 't_default' },
    ]);
  });
});

describe('intervals', () => {
  it.each([
    ['day', ['t_2026_03_15', 't_2026_03_16'], ['--days', '1']],
    ['week', ['t_2026_w11', 't_2026_w12'], ['--weeks', '1']],
    ['quarter', ['t_2026_q1', 't_2026_q2'], ['--months', '1']],
    ['year', ['t_2026', 't_2027'], ['--months', '12']],
  ])(
    '%s leaves are named by their lower bound, and go on without --interval',
    async (interval, names, horizon) => {
      await database.sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
      expect(await created(database, ['-t', 't', '--interval', interval, '--days', '0'])).toEqual([names[0]]);
      expect(await created(database, ['-t', 't', ...horizon])).toEqual([names[1]]);
    },
  );

  it('of a table with a leaf to MAXVALUE are those of the other leaves, and its runway has no end', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table t_old partition of t for values from (minvalue) to ('2026-01-01+00');
      create table t_jan partition of t for values from ('2026-01-01+00') to ('2026-02-01+00');
      create table t_rest partition of t for values from ('2026-04-01+00') to (maxvalue)`);
    const result = await ensure(database, ['-t', 't', '--from', '2025-12', '--until', '2026-06']);
    expect(result.data).toMatchObject({
      interval: 'month',
      created: ['t_2026_02', 't_2026_03'],
      existing: ['t_old', 't_jan', 't_rest'],
      runwayState: 'unbounded',
      runwayUntil: null,
    });
  });

  it('that no calendar knows have to be spelled out', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table t_odd partition of t for values from ('2026-01-01+00') to ('2026-01-11+00')`);
    const result = await ensure(database, ['-t', 't', '--days', '1']);
    expect(result).toMatchObject({ exitCode: 2, error: { code: 'unknown_interval', object: 't' } });
    expect(await created(database, ['-t', 't', '--days', '0', '--interval', 'week'])).toEqual(['t_2026_w11']);
  });
});

describe('leaves of other kinds', () => {
  it('sub-partitioned, foreign and unbounded ones count as existing, and a plain one is the model', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null, d int) partition by range (at);
      create table t_jan partition of t for values from ('2026-01-01+00') to ('2026-02-01+00')
        with (fillfactor = 70);
      create table t_feb partition of t for values from ('2026-02-01+00') to ('2026-03-01+00')
        partition by list (d);
      create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
      create foreign table t_mar partition of t for values from ('2026-03-01+00') to ('2026-04-01+00')
        server nowhere`);
    const result = await ensure(database, ['-t', 't', '--from', '2026-01', '--months', '1']);
    expect(result.data).toMatchObject({ created: ['t_2026_04'], existing: ['t_jan', 't_feb', 't_mar'] });
    expect(await database.sql`select reloptions from pg_class where relname = 't_2026_04'`).toEqual([
      { reloptions: ['fillfactor=70'] },
    ]);
  });

  it('DEFAULT may be partitioned itself', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null, d int) partition by range (at);
      create table rest partition of t default partition by list (d);
      create table rest_1 partition of rest for values in (1);
      create table rest_2 partition of rest for values in (2);
      insert into t values ('2026-04-05+00', 1), ('2026-04-03+00', 2), ('2026-04-04+00', 2)`);
    const result = await ensure(database, ['-t', 't', '--months', '2', '--dry-run']);
    expect(result.exitCode).toBe(3);
    const locked = result.data.steps.at(-1).locks.map((lock: { relation: string }) => lock.relation);
    expect(locked).toEqual(['public.t', 'public.rest', 'public.rest_1', 'public.rest_2']);
    const run = await ensure(database, ['-t', 't', '--months', '2']);
    expect(run.data).toMatchObject({
      created: ['t_2026_03', 't_2026_05'],
      conflicts: [
        {
          rows: 3,
          earliest: '2026-04-03T00:00:00Z',
          latest: '2026-04-05T00:00:00Z',
          reason: 'rows_in_default',
        },
      ],
    });
  });
});

it('ensure reads its clock once', async () => {
  await database.sql.unsafe(READING);
  const last = await created(database, ['-t', 'reading', '--months', '0'], {
    now: '2026-12-31T23:59:59.999Z',
  });
  const first = await created(database, ['-t', 'reading', '--months', '0'], { now: '2027-01-01T00:00:00Z' });
  expect([last, first]).toEqual([['reading_2026_12'], ['reading_2027_01']]);
});
