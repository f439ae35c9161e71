import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsOf, runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const drain = (words: readonly string[] = []) =>
  runJson(database, ['partitions', 'drain', '-t', 't', ...words]);

const ODD = `create table t (id int, at timestamptz, note text, twice int generated always as (id * 2) stored) partition by range (at);
  create table t_default partition of t default;
  insert into t values (1, '2026-04-09+00'), (2, '52217-04-09+00'), (3, '1970-01-01+00'), (4, 'infinity'),
    (5, '-infinity'), (6, null), (7, '1999-12-31 23:59:59+00'), (8, '2000-01-01+00'), (9, '2036-03-31 23:00+00'), (10, '2036-04-01+00')`;

describe('rows that no partition should exist for', () => {
  beforeEach(() => database.sql.unsafe(ODD));

  it('are reported and left, and the others are moved', async () => {
    const result = await drain();
    expect(result).toMatchObject({
      exitCode: 3,
      changed: true,
      error: null,
      data: { quarantined: null, conflicts: [] },
    });
    expect(result.data.created).toEqual(['t_2000_01', 't_2026_04', 't_2036_03']);
    expect(result.data.left).toEqual(
      expect.arrayContaining([
        {
          lower: null,
          upper: '2000-01-01T00:00:00Z',
          reason: 'out_of_range',
          rows: 2,
          earliest: '1970-01-01T00:00:00Z',
          latest: '1999-12-31T23:59:59Z',
        },
        {
          lower: '2036-04-01T00:00:00Z',
          upper: null,
          reason: 'out_of_range',
          rows: 2,
          earliest: '2036-04-01T00:00:00Z',
          latest: '+052217-04-09T00:00:00Z',
        },
        { lower: null, upper: null, reason: 'infinite', rows: 2, earliest: null, latest: null },
        { lower: null, upper: null, reason: 'null_key', rows: 1, earliest: null, latest: null },
      ]),
    );
    expect(result.data.left).toHaveLength(4);
    expect(result.data.defaultRows).toBe(7);
    expect(await database.sql`select id from only t_default order by id`).toEqual(
      [2, 3, 4, 5, 6, 7, 10].map((id) => ({ id })),
    );
  });

  it('are moved into quarantine, which is made for them, in batches', async () => {
    const result = await drain(['--quarantine', '"Odd rows"', '--batch-rows', '2']);
    expect(result).toMatchObject({
      exitCode: 0,
      data: {
        left: [],
        quarantined: { table: { schema: 'public', name: 'Odd rows' }, rows: 7 },
        defaultRows: 0,
      },
    });
    expect(await database.sql`select id from "Odd rows" order by id`).toEqual(
      [2, 3, 4, 5, 6, 7, 10].map((id) => ({ id })),
    );
    expect(await database.sql`select count(*)::int as n from t`).toEqual([{ n: 3 }]);
    await database.sql`insert into t values (11, '1970-05-05+00')`;
    expect(await drain(['--quarantine', '"Odd rows"'])).toMatchObject({
      exitCode: 0,
      data: { quarantined: { rows: 1 } },
    });
    expect(await drain(['--quarantine', '"Odd rows"'])).toMatchObject({
      exitCode: 0,
      changed: false,
      data: { quarantined: null },
    });
  });

  it('go by --not-before and --not-after', async () => {
    const result = await drain(['--not-before', '1970-01-01', '--not-after', '2020', '--interval', 'year']);
    expect(result.data.created).toEqual(['t_1970', 't_1999', 't_2000']);
    expect(result.data.left.map(({ rows }: { rows: number }) => rows).toSorted()).toEqual([1, 2, 4]);
  });

  it('do not matter to a range that has none of them', async () => {
    expect(await drain(['--from', '2026-04', '--until', '2026-05'])).toMatchObject({
      exitCode: 0,
      data: { created: ['t_2026_04'], left: [], defaultRows: 9 },
    });
  });

  it.each([
    ['a partition', 't_default'],
    ['the table itself', 't'],
    ['a view', 'v'],
  ])('are not put into %s', async (_, name) => {
    await database.sql.unsafe('create view v as select 1 as one');
    const result = await drain(['--quarantine', name]);
    expect(result).toMatchObject({ exitCode: 2, changed: false, error: { code: 'bad_quarantine' } });
  });

  it('are shown by a dry run, which moves nothing', async () => {
    const { stdout, exitCode } = await runText(database, [
      'partitions',
      'drain',
      '-t',
      't',
      '-n',
      '--quarantine',
      'q',
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('create table public.q (like public.t');
    expect(await database.sql`select count(*)::int as n from only t_default`).toEqual([{ n: 10 }]);
    expect(await boundsOf(database, 't')).toHaveLength(1);
  });
});

describe('drain of other tables', () => {
  it('has nothing to do without DEFAULT', async () => {
    await database.sql.unsafe('create table t (at date) partition by range (at)');
    expect(await drain()).toMatchObject({
      exitCode: 0,
      changed: false,
      data: { drained: [], defaultRows: null },
    });
    const { stdout } = await runText(database, ['partitions', 'drain', '-t', 't'], { terminal: 100 });
    expect(stdout).toContain('public.t has no DEFAULT partition');
  });

  it.each([
    ['timestamp', 'day', ['T-1_2026_04_08', 'T-1_2026_04_09']],
    ['date', 'week', ['T-1_2026_w15']],
    ['timestamptz', 'quarter', ['T-1_2026_q2']],
  ])(
    'works on a key of type %s, whatever TimeZone, order and names of columns',
    async (type, interval, names) => {
      const { sql } = database;
      await sql.unsafe(`create schema "S s";
      create table "S s"."T-1" (gone int, "na""me" text, "at" ${type} not null, source int, "Twice" int generated always as (source * 2) stored,
        n bigint generated always as identity) partition by range ("at");
      alter table "S s"."T-1" drop column gone;
      create table "S s"."D:'" (n bigint not null, "at" ${type} not null, extra int, source int, "na""me" text, "Twice" int generated always as (source * 2) stored);
      alter table "S s"."D:'" drop column extra;
      alter table "S s"."T-1" attach partition "S s"."D:'" default;
      insert into "S s"."T-1" ("na""me", "at", source) select 'n' || g, timestamp '2026-04-08 00:00' + g * interval '1 hour', g from generate_series(0, 30) g;
      create table kept as table "S s"."T-1";
      alter database ${database.name} set timezone to 'America/New_York'`);
      const result = await runJson(database, [
        'partitions',
        'drain',
        '-t',
        '"S s"."T-1"',
        '--interval',
        interval,
      ]);
      expect(result).toMatchObject({ exitCode: 0, error: null, data: { created: names } });
      expect(await sql`table kept except all table "S s"."T-1"`).toHaveLength(0);
      expect(await sql`select count(*)::int as n from "S s"."T-1"`).toEqual([{ n: 31 }]);
      expect(await sql`select count(*)::int as n from only "S s"."D:'"`).toEqual([{ n: 0 }]);
    },
  );

  it('fills what other leaves leave of a period, with exact bounds', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table old partition of t for values from ('2026-04-10+00') to ('2026-04-20+00');
      create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00');
      create table t_default partition of t default;
      insert into t values ('2026-04-05+00'), ('2026-04-25+00'), ('2026-04-25+00')`);
    const result = await drain();
    expect(result.data.drained).toMatchObject([
      { name: 't_2026_04', lower: '2026-04-01T00:00:00Z', upper: '2026-04-10T00:00:00Z', rows: 1 },
      { name: 't_2026_04_20', lower: '2026-04-20T00:00:00Z', upper: '2026-05-01T00:00:00Z', rows: 2 },
    ]);
  });

  it('reports a name that is taken, and moves the other periods', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table t_default partition of t default;
      create table t_2026_04 (a int); create view t_2026_05_draining as select 1 as one;
      insert into t values ('2026-04-05+00'), ('2026-05-25+00'), ('2026-06-25+00')`);
    const result = await drain();
    expect(result).toMatchObject({ exitCode: 3, changed: true, data: { created: ['t_2026_06'] } });
    expect(result.data.conflicts).toMatchObject([{ reason: 'name_taken' }, { reason: 'name_taken' }]);
  });

  it('refuses more than 10,000 leaves', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table t_default partition of t default;
      insert into t select timestamptz '2000-01-01+00' + g * interval '1 day' from generate_series(0, 10000) g`);
    expect(await drain(['--interval', 'day'])).toMatchObject({
      exitCode: 2,
      error: { code: 'too_many_leaves' },
    });
  });

  it('is a conflict when DEFAULT is partitioned itself', async () => {
    await database.sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
      create table t_default partition of t default partition by range (at);
      create table t_default_1 partition of t_default default;
      insert into t values ('2026-04-05+00')`);
    expect(await drain()).toMatchObject({
      exitCode: 3,
      data: { conflicts: [{ reason: 'default_not_plain' }] },
    });
  });
});

it('ensure --drain makes the leaves that rows of DEFAULT stand in the way of', async () => {
  await database.sql.unsafe(`create table t (id int, at timestamptz not null) partition by range (at);
    create table t_default partition of t default;
    insert into t values (1, '2026-04-05+00'), (2, '2026-04-06+00'), (3, '2027-01-01+00')`);
  const words = ['partitions', 'ensure', '-t', 't', '--months', '2', '--drain'];
  const dry = await runJson(database, [...words, '-n']);
  const result = await runJson(database, words);
  for (const { data, exitCode } of [dry, result]) {
    expect(exitCode).toBe(0);
    expect(data).toMatchObject({
      created: ['t_2026_03', 't_2026_04', 't_2026_05'],
      drained: [{ name: 't_2026_04', rows: 2 }],
      conflicts: [],
      runwayUntil: '2026-06-01T00:00:00Z',
    });
  }
  expect(await database.sql`select id from t_2026_04 order by id`).toEqual([{ id: 1 }, { id: 2 }]);
  expect(await runJson(database, words)).toMatchObject({
    exitCode: 0,
    changed: false,
    data: { drained: [] },
  });
});
