import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create table t (id int, at timestamptz, v int, primary key (id, at)) partition by range (at);
    create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00');
    create table t_default partition of t default;
    insert into t select g, timestamptz '2026-04-01+00' + g * interval '1 hour', 0 from generate_series(1, 100) g`);
});
afterEach(() => database.drop());

const DRAIN = ['partitions', 'drain', '-t', 't'];

describe('drain of rows that are referenced', () => {
  it.each([
    'on delete cascade',
    'on delete cascade deferrable initially deferred',
    'on delete set null',
    'on delete no action',
    'on delete restrict',
  ])('harms no referencing row, %s, and the key holds afterwards', async (action) => {
    const { sql } = database;
    await sql.unsafe(`create table alarm (n int, id int, at timestamptz, foreign key (id, at) references t (id, at) ${action});
      insert into alarm select id, id, at from t where id <= 20;
      create table alarms as table alarm`);
    const result = await runJson(database, DRAIN);
    expect(result).toMatchObject({ exitCode: 0, data: { drained: [{ name: 't_2026_04', rows: 100 }] } });
    expect(await sql`select * from alarms except all select * from alarm`).toHaveLength(0);
    expect(await sql`select count(*)::int as n from alarm`).toEqual([{ n: 20 }]);
    await expect(sql`insert into alarm values (0, 1000, '2026-04-02+00')`).rejects.toMatchObject({
      code: '23503',
    });
    await sql`insert into alarm select 0, id, at from t where id = 50`;
    const gone = sql.begin((tx) => tx`delete from t where id = 1`);
    if (action.includes('cascade') || action.includes('set null')) {
      await gone;
      expect(await sql`select count(*)::int as n from alarm where id = 1`).toEqual([{ n: 0 }]);
    } else await expect(gone).rejects.toMatchObject({ code: expect.stringMatching(/^23(503|001)$/) });
  });

  it('is a conflict for a role that cannot keep the triggers from firing', async () => {
    const { sql } = database;
    const role = await createRole(database);
    await sql.unsafe(`create table alarm (id int, at timestamptz, foreign key (id, at) references t (id, at) on delete cascade);
      insert into alarm select id, at from t;
      grant create on database ${database.name} to ${role.name}; grant create, usage on schema public to ${role.name};
      alter table t owner to ${role.name}; alter table t_default owner to ${role.name}; alter table t_2026_03 owner to ${role.name}`);
    const result = await runJson({ url: role.url }, DRAIN);
    expect(result).toMatchObject({ exitCode: 3, changed: false, data: { drained: [] } });
    expect(result.data.conflicts).toMatchObject([{ reason: 'referenced', lower: '2026-04-01T00:00:00Z' }]);
    expect(await sql`select count(*)::int as n from alarm`).toEqual([{ n: 100 }]);
    const [{ version }] = await sql<
      [{ version: number }]
    >`select current_setting('server_version_num')::int as version`;
    if (version >= 150_000) {
      await sql.unsafe(`grant set on parameter session_replication_role to ${role.name}`);
      expect(await runJson({ url: role.url }, DRAIN)).toMatchObject({ exitCode: 0, changed: true });
      expect(await sql`select count(*)::int as n from alarm`).toEqual([{ n: 100 }]);
      await sql.unsafe(`revoke set on parameter session_replication_role from ${role.name}`);
    }
    await dropRoles(sql, [role]);
  });
});

describe('quarantine of rows that are referenced', () => {
  it.each(['cascade', 'set null', 'no action'])(
    'is a conflict, and harms no referencing row, on delete %s',
    async (action) => {
      const { sql } = database;
      await sql.unsafe(`insert into t values (9999, '52217-01-01+00', 1);
        create table alarm (n int, id int, at timestamptz, foreign key (id, at) references t (id, at) on delete ${action});
        insert into alarm values (1, 9999, '52217-01-01+00')`);
      const result = await runJson(database, [...DRAIN, '--quarantine', 'q']);
      expect(result).toMatchObject({ exitCode: 3, data: { quarantined: null, left: [{ rows: 1 }] } });
      expect(result.data.created).toEqual(['t_2026_04']);
      expect(result.data.conflicts).toMatchObject([{ reason: 'referenced', rows: 1, upper: null }]);
      expect(await sql`select a.n from alarm a join t using (id, at)`).toEqual([{ n: 1 }]);
    },
  );

  it('is refused when the key is made while it runs', async () => {
    const { sql } = database;
    await sql`insert into t values (9999, '52217-01-01+00', 1)`;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (!text.includes('create table public.q')) return;
        await sql.unsafe(`create table alarm (id int, at timestamptz, foreign key (id, at) references t on delete cascade);
          insert into alarm values (9999, '52217-01-01+00')`);
      },
    });
    const result = await runJson(proxy, [...DRAIN, '--quarantine', 'q']);
    await proxy.close();
    expect(result).toMatchObject({ exitCode: 6, error: { code: 'referenced' } });
    expect(await sql`select count(*)::int as n from alarm join t using (id, at)`).toEqual([{ n: 1 }]);
  });
});

describe('triggers on DEFAULT', () => {
  beforeEach(() =>
    database.sql.unsafe(`create table log (what text);
      create function note() returns trigger language plpgsql as
        $$ begin insert into public.log values (tg_op || ' ' || tg_table_name); return coalesce(new, old); end $$`),
  );

  it.each([
    [
      'of the parent',
      'create trigger noted after insert or delete on t for each row execute function note()',
    ],
    ['of its own', 'create trigger noted before delete on t_default for each row execute function note()'],
    [
      'for statements',
      'create trigger noted after delete on t_default for each statement execute function note()',
    ],
  ])('%s do not fire when rows move', async (_, trigger) => {
    await database.sql.unsafe(trigger);
    expect(await runJson(database, DRAIN)).toMatchObject({ exitCode: 0, changed: true });
    expect(await database.sql`select * from log`).toHaveLength(0);
  });

  it('that fire in every session are a conflict', async () => {
    await database.sql.unsafe(`create trigger noted after delete on t_default for each row execute function note();
      alter table t_default enable always trigger noted`);
    const result = await runJson(database, DRAIN);
    expect(result).toMatchObject({ exitCode: 3, data: { conflicts: [{ reason: 'triggers_would_fire' }] } });
    expect(await database.sql`select count(*)::int as n from only t_default`).toEqual([{ n: 100 }]);
  });

  it('matter no more than publications, whose subscribers would lose the rows', async () => {
    await database.sql.unsafe('create publication p for table t');
    const result = await runJson(database, DRAIN);
    expect(result).toMatchObject({ exitCode: 3, data: { conflicts: [{ reason: 'published' }] } });
    await database.sql.unsafe(`alter publication p set (publish = 'insert, update')`);
    expect(await runJson(database, DRAIN)).toMatchObject({ exitCode: 0 });
  });
});

describe('a publication of inserts that takes in the table of copies', () => {
  it.each([
    ['all tables', 0],
    ['tables in schema public', 150_000],
  ])('for %s is a conflict', async (what, since) => {
    const { sql } = database;
    const [{ version }] = await sql<
      [{ version: number }]
    >`select current_setting('server_version_num')::int as version`;
    const made = sql.unsafe(`create publication p for ${what} with (publish = 'insert')`);
    if (version < since) return await expect(made).rejects.toMatchObject({ code: '42601' });
    await made;
    const result = await runJson(database, DRAIN);
    expect(result).toMatchObject({ exitCode: 3, changed: false, data: { drained: [] } });
    expect(result.data.conflicts).toMatchObject([{ reason: 'published' }]);
    expect(result.data.conflicts[0].message).toContain('they do not have');
    expect(await sql`select count(*)::int as n from only t_default`).toEqual([{ n: 100 }]);
  });
});

it('gives the leaf the foreign keys of its parent, checked', async () => {
  const { sql } = database;
  await sql.unsafe(`create table device (id int primary key); insert into device select generate_series(1, 100);
    alter table t add foreign key (id) references device`);
  expect(await runJson(database, DRAIN)).toMatchObject({ exitCode: 0 });
  const keys = await sql`select convalidated, conparentid <> 0 as inherited from pg_constraint
    where conrelid = 't_2026_04'::regclass and contype = 'f'`;
  expect(keys).toEqual([{ convalidated: true, inherited: true }]);
  await expect(sql`delete from device where id = 7`).rejects.toMatchObject({ code: '23503' });
});

it('gives a leaf of many rows its foreign keys before ATTACH, which then looks at no row of it', async () => {
  const { sql } = database;
  const other = database.connect();
  await sql.unsafe(`create table device (id int primary key); insert into device select generate_series(1, 100000);
    alter table t add constraint "t's device" foreign key (id) references device on delete cascade;
    insert into t select g, '2026-05-01+00', 1 from generate_series(1, 100000) g`);
  const { data } = await runJson(database, [
    ...DRAIN,
    '--from',
    '2026-05',
    '--dry-run',
    '--lock-timeout',
    '10s',
  ]);
  const steps = data.steps as { sql: string; transaction: number | null; locks: unknown[] }[];
  const scans = async () =>
    (await other`select pg_stat_get_xact_numscans(to_regclass('t_2026_05')::oid)::int as n`)[0]?.n ?? 0;
  let looked = -1;
  let transaction: number | null = null;
  await other`set search_path to pg_catalog, public`;
  for (const step of steps) {
    if (step.transaction !== transaction && transaction !== null) await other.unsafe('commit');
    if (step.transaction !== transaction && step.transaction !== null) await other.unsafe('begin');
    transaction = step.transaction;
    const before = await scans();
    await other.unsafe(step.sql);
    if (step.sql.includes('attach partition')) {
      looked = (await scans()) - before;
      expect(step.locks).toContainEqual({ relation: 'public.device', mode: 'ACCESS EXCLUSIVE' });
    }
  }
  expect(looked).toBe(0);
  const keys = await sql`select conname, convalidated, conparentid <> 0 as inherited from pg_constraint
    where conrelid = 't_2026_05'::regclass and contype = 'f'`;
  expect(keys).toEqual([{ conname: "t's device", convalidated: true, inherited: true }]);
  await sql`delete from device where id = 5000`;
  expect(await sql`select count(*)::int as n from t where at = '2026-05-01+00'`).toEqual([{ n: 99_999 }]);
});
