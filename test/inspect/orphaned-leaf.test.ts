import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const now = '2026-06-15T12:00:00Z';

const monthly = (parent: string, dates: readonly string[]): string =>
  dates
    .slice(1)
    .map((to, at) => {
      const from = dates[at] as string;
      const name = `${parent}_${from.slice(0, 7).replace('-', '_')}`;
      return `create table ${name} partition of ${parent} for values from ('${from}Z') to ('${to}Z');`;
    })
    .join('\n');

describe('orphaned_leaf', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
      ${monthly('r', months('2026-01', 8))}
      insert into r select n, timestamptz '2026-01-01Z' + n * interval '1 day' from generate_series(1, 100) n;
      -- Alike in one respect alone.
      create table r_2025_01 (id bigint);
      create table r_quarantine (like r);
      create table base (id bigint, "timestamp" timestamptz not null);
      create table r_2025_02 () inherits (base);
      create view r_2025_03 as select * from r;
      create schema archive;
      create table archive.r_2025_12 (like r);
      create table partman ("timestamp" timestamptz not null) partition by range ("timestamp");
      create table partman_p20260601 partition of partman for values from ('2026-06-01Z') to ('2026-07-01Z')`);
    role = await createRole(database);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  it('passes where nothing was left behind, be it ever so much alike', async () => {
    expect(await inspectOnly(database, 'orphaned_leaf', { now })).toMatchObject({
      findings: [],
      passed: ['orphaned_leaf'],
    });
  });

  it('finds what somebody detached by hand, and its fix puts it back', async () => {
    await database.sql`alter table r detach partition r_2026_02`;
    const { findings } = await inspectOnly(database, 'orphaned_leaf', { now });
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r_2026_02',
        evidence: {
          parent: 'public.r',
          lower: '2026-02-01T00:00:00Z',
          upper: '2026-03-01T00:00:00Z',
          knownBy: 'shape',
        },
      },
    ]);
    expect((await inspectOnly({ url: role.url }, 'orphaned_leaf', { now })).findings).toEqual(findings);
    // Whichever of the two is mended, it is by the same command.
    const gaps = await inspectOnly(database, 'partition_gaps', { now });
    expect(gaps.findings.map(({ fix }) => fix)).toEqual(findings.map(({ fix }) => fix));
    await applyFixes(database, findings, { now });
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toEqual([]);
    expect(await database.sql`select count(*)::int4 as n from r`).toEqual([{ n: 100 }]);
  });

  it('leaves alone what was moved to a schema for archives', async () => {
    await database.sql.unsafe(
      'alter table r detach partition r_2026_01; alter table r_2026_01 set schema archive',
    );
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toEqual([]);
  });

  it('prints no command for a time that is taken, or that no name tells', async () => {
    await database.sql.unsafe(`
      create table partman_p20260501 (like partman);
      create table partman_p20260615 (like partman)`);
    const { findings } = await inspectOnly(database, 'orphaned_leaf', { now });
    expect(findings).toMatchObject([
      { object: 'public.partman_p20260501', evidence: { lower: '2026-05-01T00:00:00Z' } },
      { object: 'public.partman_p20260615', evidence: { lower: null }, fix: [] },
    ]);
    await database.sql`drop table partman_p20260615`;
    await applyFixes(database, findings.slice(0, 1), { now });
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toEqual([]);
  });

  it('only notes for a month what sensordb detached; a role without rights sees it by its shape', async () => {
    const detached = await runCli(['partitions', 'detach', '-t', 'r', 'r_2026_03'], {
      url: database.url,
      now,
    });
    expect(detached.exitCode).toBe(0);
    const today = { now: new Date() };
    const { findings } = await inspectOnly(database, 'orphaned_leaf', today);
    expect(findings).toMatchObject([
      {
        severity: 'info',
        object: 'public.r_2026_03',
        evidence: {
          lower: '2026-03-01T00:00:00Z',
          knownBy: 'sensordb.detached_leaf',
          detachedBy: 'postgres',
        },
      },
    ]);
    const later = { now: new Date(Date.now() + 40 * 86_400_000) };
    expect((await inspectOnly(database, 'orphaned_leaf', later)).findings).toMatchObject([
      { severity: 'warning' },
    ]);
    expect((await inspectOnly({ url: role.url }, 'orphaned_leaf', today)).findings).toMatchObject([
      { severity: 'warning', object: 'public.r_2026_03', evidence: { knownBy: 'shape' } },
    ]);
    await applyFixes(database, findings, { now });
    expect((await inspectOnly(database, 'orphaned_leaf', today)).findings).toEqual([]);
  });
});

describe('orphaned_leaf of a table whose partitions are only ever detached', () => {
  it('is one finding, however many there are', async () => {
    const database = await createDatabase();
    await database.sql.unsafe(`
      create table d (at timestamptz not null) partition by range (at);
      ${monthly('d', months('2023-01', 40))}
      do $$ declare leaf text; begin
        for leaf in select inhrelid::regclass::text from pg_inherits where inhparent = 'd'::regclass
                      order by 1 limit 30 loop
          execute format('alter table d detach partition %s', leaf);
        end loop; end $$`);
    const { findings } = await inspectOnly(database, 'orphaned_leaf', { now });
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.d',
        evidence: {
          tableCount: 30,
          tables: [
            'public.d_2023_01',
            'public.d_2023_02',
            'public.d_2023_03',
            'public.d_2023_04',
            'public.d_2023_05',
          ],
        },
      },
    ]);
    expect(findings[0]?.fix).toHaveLength(30);
    await database.drop();
  });
});
