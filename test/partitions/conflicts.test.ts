import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsOf, created, ensure, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(
    'create table t (at timestamptz not null, v int) partition by range (at); create index t_at on t (at)',
  );
});
afterEach(() => database.drop());

const MARCH_TO_MAY = ['-t', 't', '--months', '2'];
const APRIL = { lower: '2026-04-01T00:00:00Z', upper: '2026-05-01T00:00:00Z' };

describe('rows in DEFAULT', () => {
  beforeEach(async () => {
    await database.sql.unsafe(`create table t_default partition of t default;
      insert into t values ('2026-04-30 23:59:59.999999+00', 1), ('2026-04-01 00:00+00', 2), ('2026-04-09+00', 3),
        ('2026-06-01+00', 4), ('2026-02-28 23:59:59.999999+00', 5)`);
  });

  it('keep their period from being made, and no other', async () => {
    const result = await ensure(database, MARCH_TO_MAY);
    expect(result).toMatchObject({ exitCode: 3, ok: false, changed: true, error: null });
    expect(result.data).toMatchObject({
      created: ['t_2026_03', 't_2026_05'],
      conflicts: [
        {
          ...APRIL,
          reason: 'rows_in_default',
          rows: 3,
          earliest: '2026-04-01T00:00:00Z',
          latest: '2026-04-30T23:59:59.999999Z',
        },
      ],
      runwayUntil: '2026-04-01T00:00:00Z',
    });
  });

  it('can be moved as the hint says', async () => {
    const { data } = await ensure(database, MARCH_TO_MAY);
    const [, words] = /sensordb (partitions drain .*?)\. Wrong/.exec(data.conflicts[0].hint) ?? [];
    const drained = await runText(database, String(words).split(' '));
    expect(drained.exitCode).toBe(0);
    expect(await database.sql`select count(*)::int as n from t_2026_04`).toEqual([{ n: 3 }]);
    expect(await database.sql`select count(*)::int as n from only t_default`).toEqual([{ n: 2 }]);
    expect(await created(database, MARCH_TO_MAY)).toEqual([]);
  });

  it('are told of by a dry run, with the exit code of the run', async () => {
    const dry = await ensure(database, [...MARCH_TO_MAY, '--dry-run']);
    expect(dry).toMatchObject({ exitCode: 3, changed: false, data: { created: ['t_2026_03', 't_2026_05'] } });
    const { stdout, exitCode } = await runText(database, ['partitions', 'ensure', ...MARCH_TO_MAY, '-n']);
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^-- conflict: There are 3 rows of this period in public\.t_default, from /m);
    expect(await boundsOf(database, 't')).toHaveLength(1);
  });

  it('that row security hides from the owner are a conflict without a count', async () => {
    const { sql } = database;
    await sql.unsafe(`drop table t; create table t (at timestamptz not null) partition by range (at);
      create table t_default partition of t default; insert into t values ('2026-04-09+00')`);
    const { createRole, dropRoles } = await import('../support/roles.ts');
    const role = await createRole(database);
    await sql.unsafe(`grant create on database ${database.name} to ${role.name};
      grant create on schema public to ${role.name};
      alter table t owner to ${role.name}; alter table t_default owner to ${role.name};
      alter table t_default enable row level security; alter table t_default force row level security`);
    const result = await ensure({ url: role.url }, MARCH_TO_MAY);
    expect(result.exitCode).toBe(3);
    expect(result.data.created).toEqual(['t_2026_03', 't_2026_05']);
    expect(result.data.conflicts).toMatchObject([{ ...APRIL, reason: 'rows_in_default' }]);
    expect(result.data.conflicts[0].message).toContain('Row security hides');
    await dropRoles(sql, [role]);
  });
});

describe('a name that is taken', () => {
  it.each([
    ['table', 'create table t_2026_04 (at timestamptz not null, v int)', 'a table that is no partition'],
    ['view', 'create view t_2026_04 as select 1 as one', 'a view that is no partition'],
    ['view', 'create materialized view t_2026_04 as select 1 as one', 'a materialized view'],
    ['sequence', 'create sequence t_2026_04', 'a sequence that'],
    ['type', "create type t_2026_04 as enum ('a')", 'a type that'],
    ['type', 'create type t_2026_04 as (a int)', 'a type that'],
    ['type', 'create domain t_2026_04 as int', 'a type that'],
    ['index', 'create table x (a int); create index t_2026_04 on x (a)', 'an index that'],
    [
      'partition of another table',
      `create table u (at timestamptz) partition by range (at);
       create table t_2026_04 partition of u for values from ('2026-04-01+00') to ('2026-05-01+00')`,
      'a partition of public.u',
    ],
    [
      'partition of another period',
      "create table t_2026_04 partition of t for values from ('2025-04-01+00') to ('2025-05-01+00')",
      'the partition of another period',
    ],
    ['DEFAULT', 'create table t_2026_04 partition of t default', 'the partition of another period'],
  ])('by a %s is a conflict, and the other periods are made', async (_, ddl, what) => {
    await database.sql.unsafe(ddl);
    const result = await ensure(database, [...MARCH_TO_MAY, '--interval', 'month']);
    expect(result).toMatchObject({ exitCode: 3, error: null, changed: true });
    expect(result.data).toMatchObject({
      created: ['t_2026_03', 't_2026_05'],
      conflicts: [{ ...APRIL, reason: 'name_taken' }],
    });
    expect(result.data.conflicts[0].message).toContain(`The name public.t_2026_04 is taken by ${what}`);
  });

  it.each([
    ['table', 'create table t_2026_04 (a int)'],
    ['view', 'create view t_2026_04 as select 1 as one'],
    ['materialized view', 'create materialized view t_2026_04 as select 1 as one'],
    ['sequence', 'create sequence t_2026_04'],
    ['type', "create type t_2026_04 as enum ('a')"],
    ['composite type', 'create type t_2026_04 as (a int)'],
    ['index', 'create index t_2026_04 on only t (v)'],
    [
      'foreign table',
      `create foreign data wrapper w; create server s foreign data wrapper w;
      create foreign table t_2026_04 (a int) server s`,
    ],
  ])('by a %s is free once that is renamed as the hint says', async (_, ddl) => {
    await database.sql.unsafe(ddl);
    const { data } = await ensure(database, MARCH_TO_MAY);
    const [rename] =
      /ALTER [A-Z ]+ public\.t_2026_04 RENAME TO \S+?(?=\.)/.exec(data.conflicts[0].hint) ?? [];
    await database.sql.unsafe(rename ?? 'the hint names no statement');
    expect(await created(database, MARCH_TO_MAY)).toEqual(['t_2026_04']);
  });

  it('by a detached partition is free once that is attached as the hint says', async () => {
    await created(database, MARCH_TO_MAY);
    await database.sql.unsafe('alter table t detach partition t_2026_04');
    const { data } = await ensure(database, MARCH_TO_MAY);
    const [attach] =
      /ALTER TABLE public\.t ATTACH PARTITION .*?\)(?=\. If)/.exec(data.conflicts[0].hint) ?? [];
    await database.sql.unsafe(attach ?? 'the hint names no statement');
    const result = await ensure(database, MARCH_TO_MAY);
    expect(result).toMatchObject({ exitCode: 0, changed: false });
    expect(result.data.existing).toEqual(['t_2026_03', 't_2026_04', 't_2026_05']);
  });

  it('in the schema of the table counts even when a leaf elsewhere has the same', async () => {
    await database.sql.unsafe(`create schema elsewhere;
      create table elsewhere.t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-03-11+00');
      create table t_2026_03_11 (a int); create table t_2026_03 (a int)`);
    const result = await ensure(database, [...MARCH_TO_MAY, '--interval', 'month']);
    expect(result.data.created).toEqual(['t_2026_04', 't_2026_05']);
    expect(result.data.conflicts).toMatchObject([
      { lower: '2026-03-11T00:00:00Z', upper: '2026-04-01T00:00:00Z', reason: 'name_taken' },
    ]);
  });

  it('by another leaf of the table gives way to the exact bound in a part of a period', async () => {
    await database.sql.unsafe(`
      create table t_2026_03 partition of t for values from ('2026-03-11+00') to ('2026-04-01+00')`);
    expect(await created(database, ['-t', 't', '--months', '0', '--interval', 'month'])).toEqual([
      't_2026_03_01',
    ]);
  });
});

it('shows a conflict on a terminal with what to do', async () => {
  await database.sql.unsafe('create table t_2026_04 (a int)');
  const { stdout, exitCode } = await runText(database, ['partitions', 'ensure', ...MARCH_TO_MAY], {
    terminal: 120,
    env: { NO_COLOR: '1', TERM: 'dumb' },
  });
  expect(exitCode).toBe(3);
  expect(stdout).toMatchInlineSnapshot(`
    "public.t  one leaf a month, 2026-03-01 to 2026-06-01 (UTC)

    partition  from        to (exclusive)
    t_2026_03  2026-03-01  2026-04-01      created
               2026-04-01  2026-05-01      name_taken
    t_2026_05  2026-05-01  2026-06-01      created

    conflict: The name public.t_2026_04 is taken by a table that is no partition.
    hint: If it holds this period's rows: ALTER TABLE public.t ATTACH PARTITION public.t_2026_04 FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00'). If not: ALTER TABLE public.t_2026_04 RENAME TO t_2026_04_other. Then run this again.

    Runway: inserts start to fail on 2026-04-01, in 16 days.
    "
  `);
});
