import { afterEach, describe, expect, it } from 'vitest';
import { attach, detach, leavesOf, readings } from '../support/detach.ts';
import { runText } from '../support/partitions.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const OLD = 'readings_2025_12';

async function checks(leaf: string) {
  const rows = await database.sql`select conname from pg_constraint
    where conrelid = ${leaf}::regclass and contype = 'c' order by 1`;
  return rows.map(({ conname }) => conname);
}

describe('attach', () => {
  it('puts leaves back, and has nothing to do the second time', async () => {
    database = await readings('create schema archive');
    await detach(database, [OLD, 'readings_2026_01', '--into-schema', 'archive']);
    const run = await attach(database, [OLD, 'readings_2026_01']);
    expect(run).toMatchObject({ exitCode: 0, changed: true, error: null });
    expect(run.data).toMatchObject({
      attached: [OLD, 'readings_2026_01'],
      existing: [],
      conflicts: [],
      refused: [],
    });
    expect(await leavesOf(database.sql)).toHaveLength(5);
    expect(await checks(OLD)).toEqual([]);
    const again = await attach(database, [OLD]);
    expect(again).toMatchObject({ exitCode: 0, changed: false, data: { attached: [], existing: [OLD] } });
  });

  it('gives a leaf whose CHECK was dropped another before, so that ATTACH reads no row', async () => {
    database = await readings();
    await detach(database, [OLD]);
    await database.sql.unsafe(`alter table ${OLD} drop constraint ${OLD}_at_check`);
    const dry = await attach(database, [OLD, '--dry-run']);
    const kinds = dry.data.steps.map(({ sql }: { sql: string }) => sql.split(/\s+/).slice(0, 6).join(' '));
    expect(kinds).toContain(`alter table public.${OLD} validate constraint ${OLD}_at_check`);
    expect(await attach(database, [OLD])).toMatchObject({ exitCode: 0, data: { attached: [OLD] } });
    expect(await checks(OLD)).toEqual([]);
  });

  it('is a usage error for what was never a leaf', async () => {
    database = await readings('create table stranger (like readings)');
    expect(await attach(database, ['stranger'])).toMatchObject({
      exitCode: 2,
      error: { code: 'unknown_leaf' },
    });
    expect(await attach(database, [])).toMatchObject({ exitCode: 2, error: { code: 'no_names' } });
    expect(await attach(database, ['stranger', '--from', '2020-01-01'])).toMatchObject({
      exitCode: 2,
      error: { code: 'bounds' },
    });
  });

  it('shows lines off a terminal', async () => {
    database = await readings();
    await detach(database, [OLD]);
    const { stdout } = await runText(database, ['partitions', 'attach', '-t', 'readings', OLD]);
    expect(stdout).toBe(`attached\t${OLD}\t2025-12-01T00:00:00Z\t2026-01-01T00:00:00Z\tpublic\n`);
  });
});

describe('attach with bounds', () => {
  const BOUNDS = ['--from', '2025-11-01', '--until', '2025-12-01'];

  it('takes a table that sensordb did not detach', async () => {
    database = await readings(`create table import (like readings including all);
      alter table import add constraint mine check (value < 1000);
      insert into import values (1, 1, '2025-11-05Z', 1)`);
    const run = await attach(database, ['import', ...BOUNDS]);
    expect(run).toMatchObject({ exitCode: 0, data: { attached: ['import'] } });
    expect(await database.sql`select count(*)::int from readings where at < '2025-12-01Z'`).toEqual([
      { count: 1 },
    ]);
    expect(await checks('import')).toEqual(['mine']);
    expect(await attach(database, ['import', ...BOUNDS])).toMatchObject({
      exitCode: 0,
      changed: false,
      data: { existing: ['import'] },
    });
  });

  it.each([
    ['rows outside of them', `insert into import values (1, 1, '2025-12-05Z', 1)`, 'rows_outside_bounds'],
    ['other columns', 'alter table import drop value, add extra int', 'columns_differ'],
    ['another type of a column', 'alter table import alter value type float4', 'columns_differ'],
  ])('is a conflict for a table with %s, which stays as it was', async (_what, statement, reason) => {
    database = await readings(`create table import (like readings including all); ${statement}`);
    const run = await attach(database, ['import', ...BOUNDS]);
    expect(run).toMatchObject({ exitCode: 3, changed: false, error: null, data: { attached: [] } });
    expect(run.data.conflicts).toMatchObject([{ name: 'import', reason }]);
    expect(await checks('import')).toEqual([]);
  });

  it('is a usage error for the table itself', async () => {
    database = await readings();
    const run = await attach(database, ['readings', ...BOUNDS]);
    expect(run).toMatchObject({ exitCode: 2, changed: false, error: { code: 'attach_itself' } });
  });

  it('is a conflict for a table with an identity from 17 on, until its hint is followed', async () => {
    database = await readings(`create table import (like readings including all);
      alter table import alter id add generated always as identity`);
    const run = await attach(database, ['import', ...BOUNDS]);
    const [{ version }] =
      (await database.sql`select current_setting('server_version_num')::int as version`) as [
        { version: number },
      ];
    if (version >= 170_000) {
      expect(run).toMatchObject({ exitCode: 3, changed: false });
      expect(run.data.conflicts).toMatchObject([{ name: 'import', reason: 'columns_differ' }]);
      const [remedy = ''] = /ALTER TABLE .* DROP IDENTITY/.exec(run.data.conflicts[0].hint) ?? [];
      await database.sql.unsafe(remedy);
    }
    const after = await attach(database, ['import', ...BOUNDS]);
    expect(after).toMatchObject({ exitCode: 0, error: null });
    expect(await leavesOf(database.sql)).toContain('import');
  });

  it('is a usage error for a leaf that has others, and for a partition of another table', async () => {
    database = await readings(`create table other (at timestamptz) partition by range (at);
      create table other_1 partition of other default`);
    await detach(database, [OLD]);
    expect(await attach(database, [OLD, ...BOUNDS])).toMatchObject({
      exitCode: 2,
      error: { code: 'bounds' },
    });
    expect(await attach(database, ['other_1', ...BOUNDS])).toMatchObject({
      exitCode: 2,
      error: { code: 'partition_of_another' },
    });
  });
});

describe('attach is a conflict', () => {
  it('for a leaf that overlaps another, and attaches the others', async () => {
    database = await readings();
    await detach(database, [OLD, 'readings_2026_01']);
    await database.sql.unsafe(
      `create table usurper partition of readings for values from ('2025-12-15Z') to ('2025-12-16Z')`,
    );
    const run = await attach(database, [OLD, 'readings_2026_01']);
    expect(run).toMatchObject({ exitCode: 3, error: null, data: { attached: ['readings_2026_01'] } });
    expect(run.data.conflicts).toMatchObject([{ name: OLD, reason: 'overlap' }]);
    expect(run.data.conflicts[0].message).toContain('public.usurper');
  });

  it.each([
    [
      'a row whose reference leads nowhere',
      'alter table readings_2025_12 drop constraint readings_device_id_fkey; update readings_2025_12 set device_id = 99',
      'rows_violate_constraint',
    ],
    [
      'a row twice',
      'alter table readings_2025_12 drop constraint readings_2025_12_pkey; insert into readings_2025_12 table readings_2025_12',
      'rows_violate_constraint',
    ],
    [
      'no CHECK that its parent has by now',
      'alter table readings add constraint known check (id is not null)',
      'constraints_differ',
    ],
  ])('for a leaf with %s, and attaches the others', async (_what, statement, reason) => {
    database = await readings();
    await detach(database, ['readings_2025_12', 'readings_2026_01']);
    await database.sql.unsafe(`${statement};
      alter table readings_2026_01 add constraint known check (id is not null)`);
    const run = await attach(database, ['readings_2025_12', 'readings_2026_01']);
    expect(run).toMatchObject({ exitCode: 3, error: null, data: { attached: ['readings_2026_01'] } });
    expect(run.data.conflicts).toMatchObject([{ name: 'readings_2025_12', reason }]);
  });

  it('for a leaf that lacks columns that its parent has got, until its hint is followed', async () => {
    database = await readings();
    await detach(database, ['readings_2025_12']);
    await database.sql.unsafe(`alter table readings add "the note" varchar(7);
      alter table readings_2025_12 alter value type real, alter device_id drop not null`);
    const run = await attach(database, ['readings_2025_12']);
    expect(run).toMatchObject({ exitCode: 3, data: { conflicts: [{ reason: 'columns_differ' }] } });
    const [remedy] = /ALTER TABLE .*(?=, then run)/.exec(run.data.conflicts[0].hint) ?? [];
    await database.sql.unsafe(remedy ?? '');
    expect(await attach(database, ['readings_2025_12'])).toMatchObject({ exitCode: 0 });
  });

  it('for a leaf whose name is taken where it was', async () => {
    database = await readings('create schema archive');
    await detach(database, ['readings_2025_12', '--into-schema', 'archive']);
    await database.sql.unsafe('create table readings_2025_12 ()');
    const taken = await attach(database, ['archive.readings_2025_12']);
    expect(taken).toMatchObject({
      exitCode: 3,
      changed: false,
      data: { conflicts: [{ reason: 'name_taken' }] },
    });
    await database.sql.unsafe('drop table public.readings_2025_12');
    expect((await attach(database, ['archive.readings_2025_12'])).exitCode).toBe(0);
  });

  it('while DEFAULT holds rows of its period, until they are moved as its hint says', async () => {
    database = await readings('', { default: true });
    await detach(database, [OLD]);
    await database.sql.unsafe(
      `insert into readings values (500, 1, '2025-12-24Z', 1), (501, 1, '2025-12-25Z', 1)`,
    );
    const run = await attach(database, [OLD]);
    expect(run).toMatchObject({ exitCode: 3, changed: false, data: { attached: [] } });
    const [conflict] = run.data.conflicts;
    expect(conflict).toMatchObject({ name: OLD, reason: 'rows_in_default' });
    expect(conflict.message).toContain('There are 2 rows of this period in public.readings_default');
    const [, move = ''] = /: (WITH moved .*? FROM moved) /.exec(conflict.hint) ?? [];
    await database.sql.unsafe(move);
    expect(await attach(database, [OLD])).toMatchObject({ exitCode: 0, data: { attached: [OLD] } });
    expect(await database.sql`select count(*)::int from readings_2025_12`).toEqual([{ count: 33 }]);
  });

  it('beside a DEFAULT whose scan would hold everybody up, unless that may be guarded', async () => {
    database = await readings('', { default: true });
    await detach(database, [OLD]);
    await database.sql.unsafe(
      `set session_replication_role to replica; insert into readings select n, 1, '2030-01-01Z', n from generate_series(1, 180000) n`,
    );
    const brief = [OLD, '--lock-timeout', '1ms'];
    const run = await attach(database, brief);
    expect(run).toMatchObject({
      exitCode: 3,
      data: { conflicts: [{ name: OLD, reason: 'default_too_large' }] },
    });
    const guarded = await attach(database, [...brief, '--guard-default']);
    expect(guarded).toMatchObject({ exitCode: 0, data: { attached: [OLD] } });
    expect(guarded.warnings.map(({ code }) => code)).toContain('default_guarded');
    expect(await checks('readings_default')).toEqual([]);
  });

  it('and takes its guard away again when it is blocked', async () => {
    database = await readings('', { default: true });
    await detach(database, [OLD]);
    await database.sql.unsafe(
      `set session_replication_role to replica; insert into readings select n, 1, '2030-01-01Z', n from generate_series(1, 180000) n`,
    );
    const reader = database.connect();
    await reader.unsafe(`begin; select * from ${OLD}`);
    const run = await attach(database, [OLD, '--lock-timeout', '1ms', '--guard-default', '--wait', '100ms']);
    await reader.unsafe('rollback');
    expect(run).toMatchObject({ exitCode: 5, data: { refused: [{ name: OLD, reason: 'blocked' }] } });
    expect(await checks('readings_default')).toEqual([]);
  });
});

describe('publications', () => {
  it('are left by a detached leaf and joined again; those of others are named', async () => {
    database = await readings();
    const owner = await createRole(database);
    const worker = await createRole(database, '');
    try {
      await database.sql.unsafe(`
        create publication ours for table ${OLD}; create publication theirs for table ${OLD};
        create publication everything for all tables;
        grant create on database ${database.name} to ${worker.name}, ${owner.name};
        alter publication ours owner to ${worker.name}; alter publication theirs owner to ${owner.name};
        grant all on schema public to ${worker.name}; alter table readings owner to ${worker.name}`);
      const leaves = await leavesOf(database.sql);
      for (const leaf of leaves) await database.sql.unsafe(`alter table ${leaf} owner to ${worker.name}`);
      await database.sql.unsafe(`alter table device owner to ${worker.name}`);
      const members = async () =>
        (
          await database.sql`select p.pubname from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
          where r.prrelid = ${OLD}::regclass order by 1`
        ).map(({ pubname }) => pubname);
      const out = await detach({ url: worker.url }, [OLD]);
      expect(out).toMatchObject({ exitCode: 0, data: { detached: [OLD] } });
      expect(await members()).toEqual(['theirs']);
      const said = out.warnings.map(({ code, message }) => `${code}: ${message}`).join('\n');
      expect(said).toContain(
        `publication_not_left: public.${OLD} stays a member of publication theirs, which ${owner.name} owns`,
      );
      expect(said).toContain('publication_goes_on: Publication everything publishes all tables');
      expect(await attach({ url: worker.url }, [OLD])).toMatchObject({ exitCode: 0 });
      expect(await members()).toEqual(['ours', 'theirs']);
      await detach({ url: worker.url }, [OLD]);
      await database.sql.unsafe('drop publication ours');
      const gone = await attach({ url: worker.url }, [OLD]);
      expect(gone.exitCode).toBe(0);
      expect(gone.warnings.map(({ code }) => code)).toContain('publication_not_joined');
    } finally {
      await dropRoles(database.sql, [owner, worker]);
    }
  });
});
