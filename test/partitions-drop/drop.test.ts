import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const LEAVES = [
  ['t_2025_12', '2025-12-01', '2026-01-01'],
  ['t_2026_01', '2026-01-01', '2026-02-01'],
  ['t_2026_02', '2026-02-01', '2026-03-01'],
  ['t_2026_03', '2026-03-01', '2026-04-01'],
  ['t_2026_04', '2026-04-01', '2026-05-01'],
] as const;

/** The clock is that of runJson, 2026-03-15: three leaves are past, March is the present, April the future. */
beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning;
    drop schema public cascade; create schema public;
    drop schema if exists sensordb, archive, other cascade;
    create table t (id bigint not null, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table t_default partition of t default`);
  for (const [name, lower, upper] of LEAVES) await addLeaf(name, lower, upper);
});

async function addLeaf(name: string, lower: string, upper: string): Promise<void> {
  await database.sql.unsafe(
    `create table ${name} partition of t for values from ('${lower}Z') to ('${upper}Z')`,
  );
}

const drop = (...words: string[]) => runJson(database, ['partitions', 'drop', '-t', 't', '--yes', ...words]);

interface Refused {
  readonly name: string;
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
}

const reasons = (refused: readonly Refused[]) => refused.map(({ name, reason }) => `${name} ${reason}`);

/** Lists what there is of leaves, attached or not. */
async function tables(): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }[]>`
    select c.relname as name from pg_class c
     where c.relkind in ('r', 'p', 'f') and c.relname like 't\_%' and c.relname <> 't_default' order by 1`;
  return rows.map(({ name }) => name);
}

/** Detaches a leaf and writes what sensordb remembers of it, as `partitions detach` does. */
async function detach(name: string, detachedAt: string, state = 'detached'): Promise<void> {
  if ((await database.sql`select to_regclass('sensordb.detached_leaf') as there`)[0]?.there === null) {
    await runJson(database, ['partitions', 'ensure', '-t', 't', '--months', '2']);
  }
  await database.sql.unsafe(`insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid, leaf_schema,
      leaf_name, bound, lower_bound, upper_bound, state, detached_at)
    select 't'::regclass, 'public', 't', c.oid, 'public', c.relname, pg_get_expr(c.relpartbound, 0),
           m[1]::timestamptz, m[2]::timestamptz, '${state}', '${detachedAt}'
      from pg_class c, regexp_match(pg_get_expr(c.relpartbound, 0), '\\(''(.*)''\\) TO \\(''(.*)''\\)') m
     where c.oid = '${name}'::regclass;
    alter table t detach partition ${name}`);
}

const records = async () => [
  ...(await database.sql`select leaf_name as name, state, bound, lower_bound::text as lower, upper_bound::text as upper,
    ended_at is not null as ended, ended_by = session_user as by_me from sensordb.detached_leaf order by id`),
];

describe('an attached leaf', () => {
  it('is dropped by its name, and remembered', async () => {
    const result = await drop('t_2025_12');
    expect(result).toMatchObject({
      exitCode: 0,
      ok: true,
      changed: true,
      error: null,
      data: {
        table: { schema: 'public', name: 't' },
        dropped: ['t_2025_12'],
        refused: [],
        kept: [],
        bytes: 8192,
      },
    });
    expect(await tables()).toEqual(['t_2026_01', 't_2026_02', 't_2026_03', 't_2026_04']);
    expect(await records()).toEqual([
      {
        name: 't_2025_12',
        state: 'dropped',
        bound: "FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
        lower: '2025-12-01 00:00:00+00',
        upper: '2026-01-01 00:00:00+00',
        ended: true,
        by_me: true,
      },
    ]);
  });

  it('that was dropped before is nothing to do, unless something else has its name by now', async () => {
    await drop('t_2025_12');
    const again = await drop('public.t_2025_12', 't_2026_01');
    expect(again).toMatchObject({ exitCode: 0, data: { dropped: ['t_2026_01'], already: ['t_2025_12'] } });
    expect(await drop('t_2025_12')).toMatchObject({ exitCode: 0, changed: false });
    await database.sql.unsafe('create view t_2025_12 as select 1');
    expect(await drop('t_2025_12')).toMatchObject({ exitCode: 2, error: { code: 'unknown_leaf' } });
  });

  it('is dropped by its age at the very instant that it is that old, and not before', async () => {
    const justBefore = await runJson(
      database,
      ['partitions', 'drop', '-t', 't', '--yes', '--older-than', '2mo'],
      { now: '2026-02-28T23:59:59.999Z' },
    );
    expect(justBefore).toMatchObject({ exitCode: 0, changed: false, data: { dropped: [] } });
    const then = await runJson(database, ['partitions', 'drop', '-t', 't', '--yes', '--older-than', '2mo'], {
      now: '2026-03-01T00:00:00Z',
    });
    expect(then.data.dropped).toEqual(['t_2025_12']);
  });

  it('is dropped by a date at which it has ended, and kept by one inside of it', async () => {
    expect((await drop('--before', '2026-01-31T23:59:59Z')).data.dropped).toEqual(['t_2025_12']);
    expect((await drop('--before', '2026-02')).data.dropped).toEqual(['t_2026_01']);
  });

  it('is judged by its upper bound, whatever its name and its length', async () => {
    await database.sql.unsafe(`create table t_old partition of t for values from (minvalue) to ('2024-06-01Z');
      create table t_2001 partition of t for values from ('2024-06-01Z') to ('2025-06-01Z')`);
    expect((await drop('--before', '2025-05-31')).data.dropped).toEqual(['t_old']);
    expect((await drop('--older-than', '9mo')).data.dropped).toEqual(['t_2001']);
    expect((await records())[0]).toMatchObject({ name: 't_old', lower: '-infinity', state: 'dropped' });
  });

  it.each(['10', '12m', 'old', '0d'])('is not dropped by the age %s', async (age) => {
    expect(await drop('--older-than', age)).toMatchObject({ exitCode: 2, error: { code: 'bad_age' } });
  });

  it('that is partitioned itself goes with what is below it, which is announced', async () => {
    await database.sql.unsafe(`create table t_old partition of t for values from ('2025-01-01Z') to ('2025-02-01Z')
        partition by range (id);
      create schema other;
      create table other.t_a partition of t_old for values from (0) to (5);
      create table t_b partition of t_old default;
      insert into t values (1, '2025-01-05Z'), (9, '2025-01-05Z')`);
    const words = ['partitions', 'drop', '-t', 't', 't_old'];
    const { stdout } = await runText(database, [...words, '--dry-run']);
    expect(stdout).toContain('-- with t_old go: other.t_a, public.t_b\n');
    const result = await runJson(database, [...words, '--yes']);
    expect(result.data).toMatchObject({ dropped: ['t_old'], alongside: ['other.t_a', 'public.t_b'] });
    expect(await tables()).not.toContain('t_a');
  });

  it('that is a foreign table is dropped', async () => {
    await database.sql.unsafe(`drop table t; create table t (id int, at timestamptz) partition by range (at);
      create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
      create foreign table t_2025_01 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z') server nowhere;
      create table t_2026_03 partition of t for values from ('2026-03-01Z') to ('2026-04-01Z')`);
    expect(await drop('t_2025_01')).toMatchObject({
      exitCode: 0,
      data: { dropped: ['t_2025_01'], bytes: 0 },
    });
    expect(await tables()).toEqual(['t_2026_03']);
    await database.sql.unsafe('drop foreign data wrapper nothing cascade');
  });

  it.each([
    ['timestamp', '2025-01-01', "FOR VALUES FROM ('2025-01-01 00:00:00') TO ('2025-02-01 00:00:00')"],
    ['date', '2025-01-01', "FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')"],
  ])('with a key of type %s and an odd name is dropped', async (type, lower, bound) => {
    await database.sql.unsafe(`drop table t; create table t (at ${type}) partition by range (at);
      create schema "we.ird";
      create table "we.ird"."t_ ""it's""\\" partition of t for values from ('${lower}') to ('2025-02-01');
      create table t_now partition of t for values from ('2026-03-01') to ('2026-04-01')`);
    const result = await drop(`"we.ird"."t_ ""it's""\\"`);
    expect(result).toMatchObject({ exitCode: 0, data: { dropped: [`t_ "it's"\\`] } });
    expect(await records()).toMatchObject([{ bound, lower: '2025-01-01 00:00:00+00', state: 'dropped' }]);
    await database.sql.unsafe('drop schema "we.ird"');
  });
});

describe('never', () => {
  it('goes a current or future leaf, by name or by date; the others go all the same', async () => {
    for (const words of [
      ['t_2026_01', 't_2026_03', 't_2026_04'],
      ['--before', '2027'],
    ]) {
      const result = await drop(...words, '--no-gate');
      expect(result).toMatchObject({
        exitCode: 6,
        ok: false,
        changed: true,
        error: { code: 'current_leaf' },
      });
      expect(result.error?.message).toMatch(
        /public.t_2026_03 is for the present .* 1 other leaf was left, too/,
      );
      expect(reasons(result.data.refused)).toEqual(['t_2026_03 current_leaf', 't_2026_04 future_leaf']);
    }
    expect(await tables()).toEqual(['t_2026_03', 't_2026_04']);
  });

  it('goes a leaf before the very instant at which its time is over', async () => {
    const words = ['partitions', 'drop', '-t', 't', 't_2026_03', '--yes'];
    const early = await runJson(database, words, { now: '2026-03-31T23:59:59.999Z' });
    expect(reasons(early.data.refused)).toEqual(['t_2026_03 current_leaf']);
    const late = await runJson(database, words, { now: '2026-04-01T00:00:00Z' });
    expect(late.data.dropped).toEqual(['t_2026_03']);
    const soon = await runJson(database, [...words.slice(0, 4), 't_2026_04'], {
      now: '2026-04-01T00:00:00Z',
    });
    expect(reasons(soon.data.refused)).toEqual(['t_2026_04 current_leaf']);
  });

  it('goes the last attached leaf, not even when all have ended', async () => {
    await database.sql.unsafe('drop table t_2026_03, t_2026_04');
    const result = await drop('--before', '2026-03', '--no-gate');
    expect(result).toMatchObject({ exitCode: 6, data: { dropped: ['t_2025_12', 't_2026_01'] } });
    expect(reasons(result.data.refused)).toEqual(['t_2026_02 last_leaf']);
    expect(result.error?.hint).toContain('sensordb partitions ensure --months 3 --table public.t');
    expect(reasons((await drop('t_2026_02')).data.refused)).toEqual(['t_2026_02 last_leaf']);
    expect(await tables()).toEqual(['t_2026_02']);
  });

  it('goes DEFAULT', async () => {
    for (const name of ['t_default', 'public.t_default', 'T_DEFAULT']) {
      expect(await drop('t_2025_12', name)).toMatchObject({
        exitCode: 2,
        changed: false,
        error: { code: 'default_partition' },
      });
    }
    expect(await tables()).toContain('t_2025_12');
  });

  it('goes a table that is no leaf and was not detached by sensordb', async () => {
    await database.sql.unsafe(`create table t_2020_01 (like t); create table u (at date) partition by range (at);
      create table t_u partition of u for values from ('2020-01-01') to ('2020-02-01');
      alter table t detach partition t_2025_12`);
    for (const name of ['t_2020_01', 't_u', 't_2025_12', 't', 'nonsense']) {
      expect(await drop(name)).toMatchObject({ exitCode: 2, error: { code: 'unknown_leaf', object: name } });
    }
    expect(await tables()).toEqual(expect.arrayContaining(['t_2020_01', 't_u', 't_2025_12']));
  });

  it('goes a leaf that the role does not own; that is a failure', async () => {
    const [{ role } = { role: '' }] = await database.sql`select 'r_' || md5(current_database()) as role`;
    await database.sql.unsafe(`create role ${role} login; grant all on schema public to ${role};
      grant create on database ${database.name} to ${role};
      alter table t owner to ${role}; alter table t_2026_01 owner to ${role};`);
    const url = database.url.replace(/postgres@/, `${role}@`);
    const words = ['partitions', 'drop', '-t', 't', '--yes', 't_2025_12', 't_2026_01'];
    const result = await runJson({ url }, words);
    expect(result).toMatchObject({ exitCode: 1, data: { dropped: ['t_2026_01'] } });
    expect(reasons(result.data.refused)).toEqual(['t_2025_12 insufficient_privilege']);
    await database.sql.unsafe(`drop owned by ${role} cascade; drop role ${role}`);
  });

  it('go leaves without a selection, or by two', async () => {
    expect(await drop()).toMatchObject({ exitCode: 2, error: { code: 'selection' } });
    expect(await drop('t_2025_12', '--before', '2026')).toMatchObject({ exitCode: 2 });
  });

  it('goes a leaf that is half detached', async () => {
    await database.sql.unsafe('drop table t_default');
    const reader = database.connect();
    await reader.unsafe('begin; select * from t');
    const detaching = database.connect();
    await expect(
      detaching
        .unsafe("set lock_timeout to '200ms'")
        .then(() => detaching.unsafe('alter table t detach partition t_2025_12 concurrently')),
    ).rejects.toMatchObject({ code: '55P03' });
    await reader.unsafe('rollback');
    const result = await drop('t_2025_12', 't_2026_01');
    expect(result).toMatchObject({ exitCode: 6, data: { dropped: ['t_2026_01'] } });
    expect(result.data.refused).toMatchObject([
      {
        reason: 'detach_pending',
        hint: expect.stringContaining('sensordb partitions detach public.t_2025_12'),
      },
    ]);
  });
});

describe('a detached leaf', () => {
  it('is dropped, wherever it was moved and though others have its name, and its row says so', async () => {
    await detach('t_2025_12', '2026-03-01Z');
    await database.sql.unsafe(
      'create schema archive; alter table t_2025_12 set schema archive; create table t_2025_12 ()',
    );
    expect(await drop('archive.t_2025_12')).toMatchObject({ exitCode: 0, data: { dropped: ['t_2025_12'] } });
    expect(await tables()).toContain('t_2025_12');
    expect(await records()).toMatchObject([
      { name: 't_2025_12', state: 'dropped', ended: true, by_me: true },
    ]);
  });

  it('is dropped where `partitions detach` left it, and is known as dropped afterwards', async () => {
    await database.sql.unsafe('create schema archive');
    const words = ['partitions', 'detach', '-t', 't', 't_2025_12', '--into-schema', 'archive'];
    expect((await runJson(database, words)).error).toBe(null);
    expect(await drop('--before', '2026-01')).toMatchObject({
      exitCode: 0,
      data: { dropped: ['t_2025_12'] },
    });
    expect(await records()).toMatchObject([{ name: 't_2025_12', state: 'dropped', ended: true }]);
    for (const name of ['t_2025_12', 'archive.t_2025_12']) {
      expect(await drop(name)).toMatchObject({ exitCode: 0, data: { already: ['t_2025_12'] } });
    }
  });

  it('is dropped of an interrupted detach that came through', async () => {
    await detach('t_2025_12', '2026-03-01Z', 'detaching');
    expect((await drop('--before', '2026-01')).data.dropped).toEqual(['t_2025_12']);
    expect(await records()).toMatchObject([{ state: 'dropped' }]);
  });

  it('is not dropped when another table has its name, nor when it is another one’s partition', async () => {
    await detach('t_2025_12', '2026-03-01Z');
    await detach('t_2026_01', '2026-03-01Z');
    await database.sql.unsafe(`drop table t_2025_12; create table t_2025_12 ();
      create table u (like t) partition by range (at);
      alter table u attach partition t_2026_01 for values from ('2026-01-01Z') to ('2026-02-01Z')`);
    expect(await drop('t_2025_12')).toMatchObject({ exitCode: 2, error: { code: 'unknown_leaf' } });
    const result = await drop('--before', '2026-03', '--no-gate');
    expect(result.data.dropped).toEqual(['t_2026_02']);
    expect(reasons(result.data.refused)).toEqual(['t_2026_01 changed']);
    expect(await tables()).toEqual(expect.arrayContaining(['t_2025_12', 't_2026_01']));
  });

  it('that was attached again by hand goes as an attached one, and its row with it', async () => {
    await detach('t_2025_12', '2026-03-01Z');
    await database.sql.unsafe(
      "alter table t attach partition t_2025_12 for values from ('2025-12-01Z') to ('2026-01-01Z')",
    );
    expect((await drop('t_2025_12')).data.dropped).toEqual(['t_2025_12']);
    expect(await records()).toMatchObject([{ state: 'dropped' }]);
  });

  it('of the present or the future is refused, too', async () => {
    await detach('t_2026_03', '2026-03-01Z');
    await detach('t_2026_04', '2026-03-01Z');
    const result = await drop('t_2026_03', 't_2026_04', '--no-gate');
    expect(result).toMatchObject({ exitCode: 6, data: { dropped: [] } });
    expect(reasons(result.data.refused)).toEqual(['t_2026_03 current_leaf', 't_2026_04 future_leaf']);
  });

  it('goes, which the last attached one does not', async () => {
    await detach('t_2025_12', '2026-03-01Z');
    await database.sql.unsafe('drop table t_2026_02, t_2026_03, t_2026_04, t_2026_05');
    const result = await drop('--before', '2026-03');
    expect(result.data.dropped).toEqual(['t_2025_12']);
    expect(reasons(result.data.refused)).toEqual(['t_2026_01 last_leaf']);
  });
});

describe('--keep-for', () => {
  beforeEach(async () => {
    await detach('t_2025_12', '2026-03-08T12:34:56Z');
    await detach('t_2026_01', '2026-03-08T12:34:57Z');
  });

  it('drops by age only what was detached at least so long ago, and says until when it keeps the others', async () => {
    const result = await drop('--before', '2026-04', '--keep-for', '7d');
    expect(result).toMatchObject({
      exitCode: 0,
      ok: true,
      data: {
        dropped: ['t_2025_12'],
        refused: [],
        kept: [
          { name: 't_2026_01', until: '2026-03-15T12:34:57Z' },
          { name: 't_2026_02', until: null },
          { name: 't_2026_03', until: null },
        ],
      },
    });
  });

  it('refuses by name', async () => {
    const result = await drop('t_2025_12', 't_2026_01', 't_2026_02', 't_2026_03', '--keep-for', '7d');
    expect(result).toMatchObject({ exitCode: 6, data: { dropped: ['t_2025_12'], kept: [] } });
    expect(reasons(result.data.refused)).toEqual([
      't_2026_01 grace_time',
      't_2026_02 grace_time',
      't_2026_03 current_leaf',
    ]);
    expect(result.data.refused[0].message).toContain('until 2026-03-15T12:34:57Z');
    expect(result.data.refused[1].hint).toContain('sensordb partitions detach public.t_2026_02');
  });

  it('wants an age', async () => {
    expect(await drop('t_2025_12', '--keep-for', '7')).toMatchObject({
      exitCode: 2,
      error: { code: 'bad_age' },
    });
  });
});
