import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createReadings, drift, expectLikeNew, mended, repair } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let role: TestRole;
let other: TestRole;
beforeAll(async () => {
  database = await createDatabase();
  [role, other] = [await createRole(database), await createRole(database)];
  await createReadings(database, role.name);
});
afterAll(async () => {
  await dropRoles(database.sql, [role, other]);
  await database.drop();
});

const LEAVES = ['readings_2026_01', 'readings_2026_02', 'readings_2026_03'];
const ALL = [...LEAVES, 'readings_default'];

/** In the statements ROLE stands for a role that may read the table, OTHER for one that has no right. */
const named = (text: string): string => text.replaceAll('ROLE', role.name).replaceAll('OTHER', other.name);
const run = (statements: string) => database.sql.unsafe(named(statements));

interface Case {
  readonly what: string;
  readonly happens: string;
  /** What is found on which leaves. */
  readonly found: string;
  readonly on: readonly string[];
  /** What brings the parent back. */
  readonly undo?: string;
}

const FEBRUARY = ['readings_2026_02'];
const CASES: readonly Case[] = [
  {
    what: 'another owner',
    happens: 'alter table readings_2026_02 owner to OTHER',
    found: 'owner',
    on: FEBRUARY,
  },
  {
    what: 'a privilege that the parent was given later',
    happens: 'grant insert, update on readings to ROLE with grant option',
    found: 'privileges of ROLE',
    on: ALL,
    undo: 'revoke insert, update on readings from ROLE',
  },
  {
    what: 'a privilege on a column that the parent was given later',
    happens: 'grant update (value) on readings to ROLE',
    found: 'privileges of ROLE',
    on: ALL,
    undo: 'revoke update (value) on readings from ROLE',
  },
  {
    what: 'a surplus privilege',
    happens:
      'grant truncate on readings_2026_02 to public; grant insert (value) on readings_2026_02 to public',
    found: 'privileges of PUBLIC',
    on: FEBRUARY,
  },
  {
    what: 'a surplus privilege on the table beside one on a column',
    happens: `grant update (value) on readings to OTHER;
      grant update, update (value) on readings_2026_02 to OTHER`,
    found: 'privileges of OTHER',
    on: ALL,
    undo: 'revoke update (value) on readings from OTHER',
  },
  {
    what: 'a privilege of the owner that was revoked',
    happens: 'revoke delete on readings_2026_02 from current_user',
    found: 'privileges of postgres',
    on: FEBRUARY,
  },
  {
    what: 'a replica identity',
    happens: 'alter table readings_2026_02 replica identity full',
    found: 'replica identity',
    on: FEBRUARY,
  },
  {
    what: 'a replica identity of the parent',
    happens: 'alter table readings replica identity using index readings_pkey',
    found: 'replica identity',
    on: ALL,
    undo: 'alter table readings replica identity default',
  },
  {
    what: 'a statistics target of the parent',
    happens: 'alter table only readings alter column value set statistics 500',
    found: 'column value',
    on: ALL,
    undo: 'alter table only readings alter column value set statistics -1',
  },
  {
    what: 'a statistics target of its own',
    happens: 'alter table readings_2026_02 alter column value set statistics 0',
    found: 'column value',
    on: FEBRUARY,
  },
  {
    what: 'row security that is off',
    happens: 'alter table readings_2026_02 disable row level security',
    found: 'row security',
    on: FEBRUARY,
  },
  {
    what: 'row security that is forced on the parent',
    happens: 'alter table readings force row level security',
    found: 'row security of the owner',
    on: ALL,
    undo: 'alter table readings no force row level security',
  },
  {
    what: 'a new policy on the parent',
    happens: `create policy known on readings as restrictive for select to ROLE
      using (exists (select from device where device.id = device_id and value::text <> note))`,
    found: 'policy known',
    on: ALL,
    undo: 'drop policy known on readings',
  },
  {
    what: 'a policy that was altered',
    happens: "alter policy named on readings_2026_02 using (value between 1 and 2 and note in ('a', 'c'))",
    found: 'policy named',
    on: FEBRUARY,
  },
  {
    what: 'a policy for another role',
    happens: 'alter policy named on readings to ROLE',
    found: 'policy named',
    on: ALL,
    undo: 'alter policy named on readings to public',
  },
  {
    what: 'a surplus policy',
    happens: 'create policy more on readings_2026_02 using (true)',
    found: 'policy more',
    on: FEBRUARY,
  },
  {
    what: 'a trigger that was disabled for a load',
    happens: 'alter table readings_2026_02 disable trigger stamped',
    found: 'trigger stamped',
    on: FEBRUARY,
  },
  {
    what: 'a trigger that fires always on the parent',
    happens: 'alter table only readings enable always trigger stamped',
    found: 'trigger stamped',
    on: ALL,
    undo: 'alter table only readings enable trigger stamped',
  },
  {
    what: 'an index that was made on the parent alone',
    happens: `create index readings_few on only readings (lower(note) text_pattern_ops, value desc) include (id)
      with (fillfactor = 70) where note in ('it''s', 'b')`,
    found: 'index readings_few',
    on: ALL,
    undo: 'drop index readings_few',
  },
  {
    what: 'a unique index that was made on the parent alone',
    happens: 'create unique index readings_once on only readings (value, at)',
    found: 'index readings_once',
    on: ALL,
    undo: 'drop index readings_once',
  },
  {
    what: 'a unique constraint that was made on the parent alone',
    happens:
      'alter table only readings add constraint readings_key unique (device_id, at, id) include (value) deferrable initially deferred',
    found: 'index readings_key',
    on: ALL,
    undo: 'alter table readings drop constraint readings_key',
  },
];

describe('it finds and mends', () => {
  it.each(CASES)('$what', async ({ happens, found, on, undo = '' }) => {
    await run(happens);
    try {
      const expected = on.map((leaf) => `${leaf}: ${named(found)}`);
      expect(await drift(database)).toEqual(expected);
      expect(await mended(database)).toEqual(expected);
      await expectLikeNew(database, ALL);
    } finally {
      await run(undo);
      await repair(database);
    }
  });

  it('storage parameters that the newest leaf has, but not its autovacuum that is off', async () => {
    await run(`alter table readings_2026_03 set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,
        autovacuum_enabled = off, toast.autovacuum_vacuum_threshold = 99);
      alter table readings_2026_01 set (fillfactor = 100, autovacuum_freeze_min_age = 0)`);
    const three = ['autovacuum_vacuum_scale_factor', 'toast.autovacuum_vacuum_threshold'];
    const expected = ALL.filter((leaf) => leaf !== 'readings_2026_03').flatMap((leaf) =>
      (leaf === 'readings_2026_01' ? three : ['fillfactor', ...three]).map((what) => `${leaf}: ${what}`),
    );
    expect(await mended(database)).toEqual(expected);
    const rows = await database.sql`select c.reloptions, t.reloptions as toast
      from pg_class c join pg_class t on t.oid = c.reltoastrelid where c.relname in ('readings_2026_01', 'readings_default')
      order by c.relname`;
    const toast = ['autovacuum_vacuum_threshold=99'];
    expect(rows).toEqual([
      {
        reloptions: ['fillfactor=100', 'autovacuum_freeze_min_age=0', 'autovacuum_vacuum_scale_factor=0.02'],
        toast,
      },
      { reloptions: ['fillfactor=80', 'autovacuum_vacuum_scale_factor=0.02'], toast },
    ]);
    for (const leaf of ALL) {
      await run(`alter table ${leaf} reset (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_enabled,
        autovacuum_freeze_min_age, toast.autovacuum_vacuum_threshold)`);
    }
  });

  it('storage parameters of indexes that the newest leaf’s have', async () => {
    await run('alter index readings_2026_03_at_idx set (autosummarize = on)');
    const others = ALL.filter((leaf) => leaf !== 'readings_2026_03');
    const expected = others.map((leaf) => `${leaf}: autosummarize of index ${leaf}_at_idx`);
    expect(await mended(database)).toEqual(expected);
    await expectLikeNew(database, ALL);
  });

  it('triggers of foreign keys that were disabled for a load', async () => {
    await run('alter table readings_2026_02 disable trigger all');
    await run('alter table readings_2026_02 enable trigger stamped');
    const found = await drift(database);
    expect(found).toHaveLength(2);
    await expect(run("insert into readings values (9, 9, '2026-02-09Z')")).resolves.toBeDefined();
    await run('delete from readings where device_id = 9');
    await mended(database);
    await expect(run("insert into readings values (9, 9, '2026-02-09Z')")).rejects.toMatchObject({
      code: '23503',
    });
  });

  it('several things at once, the owner first, and leaves the privileges of the owner alone', async () => {
    await run(`alter table readings_2026_02 owner to ROLE; revoke select on readings_2026_02 from ROLE;
      alter table readings_2026_02 alter column value set statistics 9, replica identity nothing,
        disable trigger stamped`);
    expect(await drift(database, ['readings_2026_02', '--skip', 'owner'])).toEqual(
      ['replica identity', 'trigger stamped', 'column value', 'privileges of ROLE'].map(
        (what) => `readings_2026_02: ${named(what)}`,
      ),
    );
    expect(await mended(database)).toContain('readings_2026_02: owner');
    await expectLikeNew(database, ALL);
  });
});

it('works on the leaves and the kinds that it is given', async () => {
  await run(`alter table readings_2026_01 replica identity full; alter table readings_2026_02 replica identity full;
    alter table readings_2026_02 alter column value set statistics 9`);
  expect(await drift(database, ['--only', 'statistics_targets,owner'])).toEqual([
    'readings_2026_02: column value',
  ]);
  expect(await drift(database, ['readings_2026_02', '--skip', 'replica_identity'])).toEqual([
    'readings_2026_02: column value',
  ]);
  expect(await mended(database, ['public.readings_2026_01'])).toEqual(['readings_2026_01: replica identity']);
  expect(await mended(database)).toHaveLength(2);
});

it.each([
  [['--only', 'owners'], 'bad_kind'],
  [['--only', 'owner', '--skip', 'owner'], 'no_kinds'],
  [['--check', '--dry-run'], 'check_and_dry_run'],
  [['device'], 'unknown_leaf'],
])('refuses %s as a mistake in the arguments', async (words, code) => {
  expect(await repair(database, words)).toMatchObject({ exitCode: 2, error: { code } });
});

it('takes no lock on the table and writes nothing with --check', async () => {
  await run('alter table readings_2026_02 replica identity full');
  const count = async () => (await database.sql`select count(*)::int as n from sensordb.run_log`)[0]?.n;
  const before = await count();
  expect(await drift(database)).toEqual(['readings_2026_02: replica identity']);
  expect(await count()).toBe(before);
  expect(await drift(database)).toHaveLength(1);
  await mended(database);
});
