import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
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

describe('orphaned_leaf beside a table that is alike', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  it('offers a partition to its own table, not to one whose name differs in a digit', async () => {
    const parents = ['plant1', 'plant2', 'plant22', 'sensor_v1', 'sensor_v2'];
    for (const parent of parents) {
      await database.sql.unsafe(`
        create table ${parent} (id bigint, at timestamptz not null) partition by range (at);
        ${monthly(parent, months('2026-01', 4))}`);
    }
    await database.sql.unsafe(`
      alter table plant1 detach partition plant1_2026_02;
      alter table plant2 detach partition plant2_2026_03; alter table plant22 detach partition plant22_2026_02;
      create table sensor_v3 (id bigint, at timestamptz not null) partition by range (at);
      create table sensor_v3_p20260501 partition of sensor_v3 for values from ('2026-05-01Z') to ('2026-06-01Z');
      create table sensor_v3_p20260601 partition of sensor_v3 for values from ('2026-06-01Z') to ('2026-07-01Z');
      create table sensor_v4 (id bigint, at timestamptz not null) partition by range (at);
      create table sensor_v4_p20260601 partition of sensor_v4 for values from ('2026-06-01Z') to ('2026-07-01Z');
      alter table sensor_v3 detach partition sensor_v3_p20260501`);
    const { findings } = await inspectOnly(database, 'orphaned_leaf', { now });
    expect(findings).toMatchObject([
      { object: 'public.plant1_2026_02', evidence: { parent: 'public.plant1', others: [] } },
      { object: 'public.plant22_2026_02', evidence: { parent: 'public.plant22', others: [] } },
      { object: 'public.plant2_2026_03', evidence: { parent: 'public.plant2', others: [] } },
      { object: 'public.sensor_v3_p20260501', evidence: { parent: 'public.sensor_v3', others: [] } },
    ]);
    await applyFixes(database, findings, { now });
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toEqual([]);
    expect(
      await database.sql`select inhparent::regclass::text as parent from pg_inherits where inhrelid = 'plant1_2026_02'::regclass`,
    ).toEqual([{ parent: 'plant1' }]);
  });

  it('knows partitions by the date at the end where they are not named after their table', async () => {
    await database.sql.unsafe(`
      create table renamed (id bigint, at timestamptz not null) partition by range (at);
      ${monthly('renamed', months('2026-01', 4)).replaceAll('renamed_2026', 'line7_2026')}
      create table line8_2026_01 (like renamed); create table line7_2026_01_copy (like renamed);
      alter table renamed detach partition line7_2026_02`);
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toMatchObject([
      { object: 'public.line7_2026_02', fix: [expect.stringContaining('--table public.renamed')] },
    ]);
  });

  it('names both tables where it fits two, and prints no command', async () => {
    await database.sql.unsafe(`
      create table one (id bigint, at timestamptz not null) partition by range (at);
      create table two (id bigint, at timestamptz not null) partition by range (at);
      create table y2026m01 partition of one for values from ('2026-01-01Z') to ('2026-02-01Z');
      create table y2026m02 partition of one for values from ('2026-02-01Z') to ('2026-03-01Z');
      create table y2026m03 partition of two for values from ('2026-03-01Z') to ('2026-04-01Z');
      alter table one detach partition y2026m01`);
    expect((await inspectOnly(database, 'orphaned_leaf', { now })).findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.y2026m01',
        message: expect.stringContaining('from public.one or public.two'),
        evidence: { parent: 'public.one', others: ['public.two'], lower: null },
        fix: [],
      },
    ]);
  });
});
