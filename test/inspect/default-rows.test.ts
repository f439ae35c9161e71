import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const now = '2026-03-15T12:00:00Z';

describe('default_rows', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz) partition by range ("timestamp");
      ${leavesOf('r', months('2026-01', 5))}
      create table r_default partition of r default;
      insert into r values (1, '2026-02-03Z');
      create table bare (at date not null) partition by range (at);
      ${leavesOf('bare', months('2026-01', 5))}
      create table by_list (region text) partition by list (region);
      create table by_list_1 partition of by_list for values in ('a');
      create table by_list_default partition of by_list default;
      insert into by_list values ('z')`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const look = async (options = {}) => await inspectOnly(database, 'default_rows', { now, ...options });

  it('is quiet on an empty DEFAULT, on none, and on that of a list', async () => {
    expect(await look()).toMatchObject({ findings: [], passed: ['default_rows'] });
  });

  const gaps = async () => (await inspectOnly(database, 'partition_gaps', { now })).findings;

  it('finds rows that belong into partitions; the drain makes those, and no hole is left', async () => {
    await database.sql`insert into r values (2, '2026-07-03 01:00Z'), (3, '2025-12-31Z')`;
    const { findings, exitCode } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r',
        message: 'public.r_default holds 2 rows, of 2025-12-31 to 2026-07-03T01:00:00Z.',
        evidence: { rows: 2, isExact: true, rowsForNoPartition: 0 },
        fix: [
          'sensordb partitions drain --table public.r',
          'sensordb partitions ensure --table public.r --from 2026-05-01 --until 2026-07-01 --drain',
        ],
      },
    ]);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
    expect(await gaps()).toEqual([]);
    expect(await database.sql`select count(*)::int4 as n from r`).toEqual([{ n: 3 }]);
  });

  it('tells apart the rows that no partition should exist for; the drain sets them aside', async () => {
    await database.sql`
      insert into r values (4, '1970-01-01Z'), (5, '2098-06-15Z'), (6, 'infinity'), (7, null), (8, '2026-08-01Z')`;
    const env = { PGOPTIONS: '-c TimeZone=America/New_York -c DateStyle=German -c search_path=' };
    const { findings } = await look({ env });
    expect(findings).toMatchObject([
      {
        object: 'public.r',
        message:
          'public.r_default holds 5 rows, of 2026-08-01 to 2026-08-01. No partition should exist for 4 of them: --quarantine takes them out of the table.',
        fix: [
          'sensordb partitions drain --table public.r --from 2000-01-01 --until 2036-04-01',
          'sensordb partitions drain --table public.r --quarantine public.r_quarantine',
        ],
        irreversible: ['sensordb partitions drain --table public.r --quarantine public.r_quarantine'],
      },
    ]);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
    expect(await database.sql`select count(*)::int4 as n from r_quarantine`).toEqual([{ n: 4 }]);
  });

  it('leaves to somebody who knows them the rows that lie more than a year from all others', async () => {
    await database.sql`
      insert into r values (9, '2031-07-09Z'), (10, '2031-07-10Z'), (11, '2009-05-31Z'), (12, '2026-11-02Z'), (13, '2027-10-31Z')`;
    const { findings } = await look();
    expect(findings).toMatchObject([
      {
        message: expect.stringMatching(
          /^public\.r_default holds 5 rows, of 2009-05-31 to 2031-07-10\. 3 of them lie beyond more than a year without any\./,
        ),
        evidence: { rowsForNoPartition: 0, rowsFarAway: 3 },
        fix: [
          'sensordb partitions drain --table public.r --from 2009-06-01 --until 2031-07-01',
          'sensordb partitions ensure --table public.r --from 2026-09-01 --until 2027-10-01 --drain',
        ],
      },
    ]);
    await applyFixes(database, findings, { now });
    expect(await gaps()).toEqual([]);
    const { findings: left } = await look();
    expect(left).toMatchObject([{ evidence: { rows: 3, rowsFarAway: 3 }, fix: [] }]);
    // What the message offers for a wrong clock, run by whoever says that it was one.
    const fix = [/out of the table: (.*)\. Where they are right/.exec(left[0]?.message ?? '')?.[1] ?? ''];
    await applyFixes(
      database,
      left.map((finding) => ({ ...finding, fix })),
      { now },
    );
    expect((await look()).findings).toEqual([]);
    expect(await gaps()).toEqual([]);
    expect(await database.sql`select count(*)::int4 as n from r_quarantine where id > 8`).toEqual([{ n: 3 }]);
  });

  it('takes no rows out of a table whose rows are all of one past', async () => {
    await database.sql.unsafe(`
      create table past (id bigint, at timestamptz not null) partition by range (at);
      create table past_2024 partition of past for values from ('2024-01-01Z') to ('2025-01-01Z') partition by range (at);
      create table past_2024_default partition of past_2024 default;
      create table bare_past (id bigint, at timestamptz not null) partition by range (at);
      create table bare_past_default partition of bare_past default;
      insert into past select n, timestamptz '2024-01-01Z' + n * interval '1 day' from generate_series(0, 365) n;
      insert into bare_past select n, timestamptz '2022-01-01Z' + n * interval '1 day' from generate_series(0, 365) n`);
    const { findings } = await look();
    expect(findings).toMatchObject([
      { object: 'public.bare_past', evidence: { rowsFarAway: 0 } },
      { object: 'public.past_2024', evidence: { rowsFarAway: 0 } },
    ]);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
    for (const table of ['past', 'bare_past']) {
      expect(await database.sql`select count(*)::int4 as n from ${database.sql(table)}`).toEqual([
        { n: 366 },
      ]);
      await database.sql`drop table ${database.sql(table)}`;
    }
  });

  it('stops at neither end for rows that it leaves', async () => {
    await database.sql.unsafe(`
      create table ends (id bigint, at timestamptz not null) partition by range (at);
      ${leavesOf('ends', months('2026-01', 7))}
      create table ends_default partition of ends default;
      insert into ends values (1, '1970-01-01Z'), (2, '2026-07-02Z'), (3, '2031-07-02Z')`);
    const words = ['--only', 'default_rows', '--table', 'ends'];
    const { findings } = await inspect(database, words, { now });
    expect(findings).toMatchObject([
      { evidence: { rowsFarAway: 1, rowsForNoPartition: 1 }, irreversible: [] },
    ]);
    await applyFixes(database, findings, { now });
    expect((await inspect(database, words, { now })).findings).toMatchObject([
      { evidence: { rows: 2 }, fix: [] },
    ]);
    await database.sql`drop table ends`;
  });

  it('leaves room for a detached partition that fills the hole again', async () => {
    await database.sql.unsafe(`
      create table again (id bigint, at timestamptz not null) partition by range (at);
      ${leavesOf('again', months('2026-01', 7))}
      create table again_default partition of again default;
      insert into again values (1, '2026-06-02Z')`);
    const leaf = 'again_2026_06_01';
    await database.sql`alter table again detach partition ${database.sql(leaf)}`;
    await database.sql`insert into again values (2, '2026-09-02Z')`;
    const words = ['--only', 'default_rows,orphaned_leaf,partition_gaps,runway', '--table', 'again'];
    const { findings } = await inspect(database, words, { now });
    const [found] = findings.filter(({ check }) => check === 'default_rows');
    expect(found?.fix.filter((text) => /--from 2026-06-01/.test(text))).toEqual([]);
    await applyFixes(
      database,
      findings.filter(({ check }) => check !== 'partition_gaps'),
      { now },
    );
    expect((await inspect(database, words, { now })).findings).toEqual([]);
    expect(await database.sql`select count(*)::int4 as n from again`).toEqual([{ n: 2 }]);
    await database.sql`drop table again`;
  });

  it('does not say that DEFAULT is empty to a role that may not look, or not at all rows', async () => {
    const asRole = async () => await inspectOnly({ url: role.url }, 'default_rows', { now });
    expect(await asRole()).toMatchObject({
      exitCode: 3,
      findings: [
        {
          severity: 'unknown',
          object: 'public.r',
          evidence: { needs: 'SELECT on public.r_default' },
          fix: [],
        },
      ],
      passed: [],
    });
    await database.sql.unsafe(`grant select on r_default to ${role.name}`);
    expect(await asRole()).toMatchObject({ findings: [], passed: ['default_rows'] });
    await database.sql`alter table r_default enable row level security`;
    expect((await asRole()).findings).toMatchObject([
      { severity: 'unknown', object: 'public.r', evidence: { default: 'public.r_default' } },
    ]);
    await database.sql`alter table r_default disable row level security`;
  });

  it('answers while somebody locks DEFAULT, and says who', async () => {
    const other = database.connect();
    await other.unsafe('begin; lock table r_default in access exclusive mode');
    const { findings, passed } = await look();
    expect(findings).toMatchObject([{ check: 'locked', severity: 'unknown', object: 'public.r_default' }]);
    expect(passed).toEqual([]);
    await other.unsafe('rollback');
  });

  it('counts no further than 100,000 rows', async () => {
    await database.sql`insert into r select n, '2027-11-01Z' from generate_series(1, 100500) n`;
    const { findings } = await look();
    expect(findings).toMatchObject([
      { object: 'public.r', evidence: { rows: 100_001, isExact: false, rowsForNoPartition: 0 } },
    ]);
    expect(findings[0]?.message).toMatch(/holds more than 100000 rows/);
    // Who knows what the rest is.
    expect(findings[0]?.fix).toEqual([
      'sensordb partitions drain --table public.r --from 2000-01-01 --until 2036-04-01',
    ]);
  });
});

it('prints no drain where that would refuse, and says what is in its way', async () => {
  const database = await createDatabase();
  await database.sql.unsafe(`
    create table r (id bigint, "timestamp" timestamptz) partition by range ("timestamp");
    ${leavesOf('r', months('2026-01', 5))}
    create table r_default partition of r default;
    insert into r values (1, '2026-07-03Z');
    create publication everything for table r`);
  const { findings } = await inspectOnly(database, 'default_rows', { now });
  expect(findings).toMatchObject([
    {
      severity: 'warning',
      object: 'public.r',
      message: expect.stringMatching(/everything would send subscribers .* ALTER PUBLICATION everything/),
      fix: [],
    },
  ]);
  await database.sql.unsafe(`alter publication everything set (publish = 'insert, update')`);
  const mendable = await inspectOnly(database, 'default_rows', { now });
  await applyFixes(database, mendable.findings, { now });
  expect((await inspectOnly(database, 'default_rows', { now })).findings).toEqual([]);
  await database.drop();
});

describe('default_rows of other tables', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create foreign data wrapper elsewhere;
      create server elsewhere foreign data wrapper elsewhere;
      create table far (at timestamptz) partition by range (at);
      create foreign table far_default partition of far default server elsewhere;
      create table "O""dd" ("Zeit" timestamp) partition by range ("Zeit");
      create table "o d" partition of "O""dd" default partition by list ("Zeit");
      create table od_1 partition of "o d" default;
      insert into "O""dd" values ('2026-01-01 01:02:03.456789');
      create table computed (at timestamptz) partition by range ((at at time zone 'UTC'));
      create table computed_default partition of computed default;
      insert into computed values (now());
      create table fresh (at timestamptz not null) partition by range (at);
      create table fresh_default partition of fresh default;
      insert into fresh values ('2026-03-10Z'), ('2025-12-10Z');
      create table m (at timestamptz not null) partition by range (at);
      create table m_03 partition of m for values from ('2026-03-01Z') to ('2026-04-01Z') partition by range (at);
      create table m_03_default partition of m_03 default;
      insert into m values ('2026-03-05Z')`);
  });
  afterAll(() => database.drop());

  it('sees every DEFAULT that can be read, and prints only commands that work', async () => {
    const { findings } = await inspectOnly(database, 'default_rows', { now });
    expect(findings.map(({ object, severity, fix }) => ({ object, severity, fixes: fix.length }))).toEqual([
      { object: 'public."O""dd"', severity: 'warning', fixes: 0 },
      { object: 'public.computed', severity: 'warning', fixes: 0 },
      { object: 'public.fresh', severity: 'warning', fixes: 2 },
      { object: 'public.m_03', severity: 'warning', fixes: 1 },
      { object: 'public.far', severity: 'unknown', fixes: 0 },
    ]);
    await applyFixes(database, findings, { now });
    for (const table of ['m', 'fresh']) {
      const words = ['--only', 'default_rows,partition_gaps', '--table', table];
      expect((await inspect(database, words, { now })).findings).toEqual([]);
    }
  });
});
