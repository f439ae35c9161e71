import { afterEach, describe, expect, it } from 'vitest';
import { detach, leavesOf, readings } from '../support/detach.ts';
import { runJson, runText } from '../support/partitions.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const LEAVES = ['readings_2026_01', 'readings_2026_02', 'readings_2026_03', 'readings_2026_04'];

async function registry() {
  const rows = await database.sql`select leaf_name, state, bound, check_name, detached_by, target_schema
    from sensordb.detached_leaf order by id`;
  return [...rows];
}

describe.each([
  ['without DEFAULT', false],
  ['beside DEFAULT', true],
])('detach %s', (_where, withDefault) => {
  const rest = withDefault ? [...LEAVES, 'readings_default'] : LEAVES;

  it('takes a leaf out as a table of its own, with a validated CHECK, and remembers it', async () => {
    database = await readings('', { default: withDefault });
    const { exitCode, changed, data, error } = await detach(database, ['readings_2025_12']);
    expect({ exitCode, changed, error }).toEqual({ exitCode: 0, changed: true, error: null });
    expect(data).toMatchObject({ detached: ['readings_2025_12'], refused: [], finalized: [], already: [] });
    expect(await leavesOf(database.sql)).toEqual(rest);
    expect(await database.sql`select count(*)::int from readings_2025_12`).toEqual([{ count: 31 }]);
    expect(await registry()).toEqual([
      {
        leaf_name: 'readings_2025_12',
        state: 'detached',
        bound: "FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00')",
        check_name: 'readings_2025_12_at_check',
        detached_by: 'postgres',
        target_schema: null,
      },
    ]);
    const checks = await database.sql`select convalidated from pg_constraint
      where conrelid = 'readings_2025_12'::regclass and conname = 'readings_2025_12_at_check'`;
    expect(checks).toEqual([{ convalidated: true }]);
  });

  it('has nothing to do the second time', async () => {
    database = await readings('', { default: withDefault });
    await detach(database, ['readings_2025_12']);
    const again = await detach(database, ['readings_2025_12']);
    expect(again).toMatchObject({ exitCode: 0, changed: false, error: null });
    expect(again.data).toMatchObject({ detached: [], already: ['readings_2025_12'], refused: [] });
    const byAge = await detach(database, ['--before', '2026-01-01']);
    expect(byAge).toMatchObject({ exitCode: 0, changed: false, data: { detached: [], already: [] } });
  });

  it('moves what it detaches into another schema', async () => {
    database = await readings('create schema "old ones"', { default: withDefault });
    const run = await detach(database, ['--before', '2026-02-01', '--into-schema', 'old ones']);
    expect(run).toMatchObject({ exitCode: 0, data: { intoSchema: 'old ones' } });
    const moved = await database.sql`select relname from pg_class c
      where relnamespace = '"old ones"'::regnamespace and relkind = 'r' order by 1`;
    expect(moved.map(({ relname }) => relname)).toEqual(['readings_2025_12', 'readings_2026_01']);
    const again = await detach(database, ['readings_2025_12', '--into-schema', 'old ones']);
    expect(again).toMatchObject({ changed: false, data: { already: ['readings_2025_12'] } });
  });

  it('says in --dry-run what it would do, and does nothing', async () => {
    database = await readings('', { default: withDefault });
    const dry = await detach(database, ['readings_2025_12', '--dry-run']);
    expect(dry).toMatchObject({ exitCode: 0, changed: false, data: { detached: ['readings_2025_12'] } });
    expect(await leavesOf(database.sql)).toContain('readings_2025_12');
    const codes = dry.warnings.map(({ code }) => code);
    expect(codes.includes('brief_lock')).toBe(withDefault);
  });
});

describe('detach chooses', () => {
  it('by age, judged by the upper bound, to the microsecond', async () => {
    database = await readings();
    // The clock stands at 2026-03-15T12:34:56Z.
    expect((await detach(database, ['--older-than', '2mo', '--dry-run'])).data.detached).toEqual([
      'readings_2025_12',
    ]);
    const exactly = { now: '2026-04-01T00:00:00Z' };
    const dry = ['--older-than', '2mo', '--dry-run'];
    expect((await detach(database, dry, exactly)).data.detached).toEqual([
      'readings_2025_12',
      'readings_2026_01',
    ]);
    const before = { now: '2026-03-31T23:59:59.999Z' };
    expect((await detach(database, dry, before)).data.detached).toEqual(['readings_2025_12']);
  });

  it('nothing by a bare number, and nothing when it is not told what', async () => {
    database = await readings();
    expect(await detach(database, ['--older-than', '12'])).toMatchObject({
      exitCode: 2,
      error: { code: 'bad_age' },
    });
    expect(await detach(database, [])).toMatchObject({ exitCode: 2, error: { code: 'selection' } });
    const unknown = await detach(database, ['readings_2024_01']);
    expect(unknown).toMatchObject({ exitCode: 2, error: { code: 'unknown_leaf' } });
  });

  it('never DEFAULT', async () => {
    database = await readings('', { default: true });
    const run = await detach(database, ['readings_default']);
    expect(run).toMatchObject({ exitCode: 2, error: { code: 'default_partition' } });
  });
});

describe('detach refuses', () => {
  it('the current leaf and those of the future, and detaches the others', async () => {
    database = await readings();
    const run = await detach(database, ['--before', '2027-01-01']);
    expect(run).toMatchObject({ exitCode: 6, changed: true, error: { code: 'current_leaf' } });
    expect(run.data.detached).toEqual(['readings_2025_12', 'readings_2026_01', 'readings_2026_02']);
    expect(run.data.refused).toMatchObject([
      { name: 'readings_2026_03', reason: 'current_leaf' },
      { name: 'readings_2026_04', reason: 'future_leaf' },
    ]);
    expect(await leavesOf(database.sql)).toEqual(['readings_2026_03', 'readings_2026_04']);
  });

  it('the last leaf', async () => {
    database = await readings();
    const run = await detach(database, ['--before', '2027-01-01'], { now: '2026-06-01T00:00:00Z' });
    expect(run).toMatchObject({ exitCode: 6, data: { refused: [{ reason: 'last_leaf' }] } });
    expect(await leavesOf(database.sql)).toEqual(['readings_2026_04']);
  });

  it('nothing of that with --no-gate --yes, which the run log keeps', async () => {
    database = await readings();
    expect(await detach(database, ['readings_2026_03', '--no-gate'])).toMatchObject({
      exitCode: 6,
      error: { code: 'confirmation_required' },
    });
    const run = await detach(database, ['readings_2026_03', '--no-gate', '--yes']);
    expect(run).toMatchObject({ exitCode: 0, data: { detached: ['readings_2026_03'] } });
    const log = await database.sql`select arguments -> 'noGate' as gate, result -> 'overridden' as overridden
      from sensordb.run_log order by id desc limit 1`;
    expect(log).toEqual([{ gate: true, overridden: [{ name: 'readings_2026_03', reason: 'current_leaf' }] }]);
  });

  it('a schema that is not there, or has such a name already, before anything is changed', async () => {
    database = await readings(
      'create schema archive; create view archive.readings_2025_12 as select 1 as one',
    );
    const missing = await detach(database, ['readings_2025_12', '--into-schema', 'attic']);
    expect(missing).toMatchObject({ exitCode: 2, error: { code: 'unknown_schema' } });
    expect(missing.error?.hint).toContain('CREATE SCHEMA attic');
    const taken = await detach(database, ['readings_2025_12', '--into-schema', 'archive']);
    expect(taken).toMatchObject({ exitCode: 2, error: { code: 'name_taken' } });
    expect(await leavesOf(database.sql)).toContain('readings_2025_12');
  });

  it.each([
    ['of a sequence', 'create sequence archive.readings_2025_12_n_seq'],
    ['of a domain', 'create domain archive.readings_2025_12 as int'],
    ['of a type like the array of its rows', `create type archive._readings_2025_12 as enum ('a')`],
    ['of one of its own partitions', 'create table archive.readings_2025_11_a ()'],
    ['of another leaf that is moved, too', 'alter table readings_2026_01 set schema other'],
  ])('a schema where the name %s is taken, before anything is changed', async (_what, statement) => {
    database = await readings(`create schema archive; create schema other;
      create sequence readings_2025_12_n_seq owned by readings_2025_12.value;
      create table readings_2025_11 partition of readings for values from ('2025-11-01Z') to ('2025-12-01Z') partition by list (id);
      create table readings_2025_11_a partition of readings_2025_11 default; ${statement};
      alter table if exists other.readings_2026_01 rename to readings_2025_12`);
    const words = ['--before', '2026-02-01', '--into-schema', 'archive'];
    const run = await detach(database, words);
    expect(run).toMatchObject({ exitCode: 2, changed: false, error: { code: 'name_taken' } });
    expect(await leavesOf(database.sql)).toHaveLength(6);
    await database.sql.unsafe(`drop schema archive cascade; create schema archive;
      alter table if exists other.readings_2025_12 rename to free`);
    expect(await detach(database, words)).toMatchObject({ exitCode: 0 });
    const moved = await database.sql`select to_regclass('archive.readings_2025_11_a') is not null as is`;
    expect(moved).toEqual([{ is: true }]);
  });

  it.each(['pg_catalog', 'pg_toast', 'pg_temp', 'information_schema', 'sensordb', ''])(
    "a schema that is not for users' tables: %j",
    async (schema) => {
      database = await readings();
      const refused = await detach(database, ['readings_2025_12', '--into-schema', schema]);
      expect(refused).toMatchObject({ exitCode: 2, changed: false, error: { code: 'bad_schema' } });
      expect(refused.error?.message).toContain(schema);
      expect(await leavesOf(database.sql)).toContain('readings_2025_12');
      expect(await database.sql`select to_regnamespace('sensordb') as state`).toEqual([{ state: null }]);
    },
  );

  it('a leaf whose rows others refer to', async () => {
    database =
      await readings(`create table alarm (id bigint, at timestamptz, foreign key (id, at) references readings (id, at));
      insert into alarm select id, at from readings where at < '2026-01-01Z' limit 1`);
    const run = await detach(database, ['--before', '2026-02-01']);
    expect(run.exitCode).toBe(6);
    expect(run.data.detached).toEqual(['readings_2026_01']);
    expect(run.data.refused).toMatchObject([{ name: 'readings_2025_12' }]);
    expect(await leavesOf(database.sql)).toContain('readings_2025_12');
    expect(await database.sql`select count(*)::int from alarm`).toEqual([{ count: 1 }]);
  });
});

describe('detach shows', () => {
  it('tab-separated lines off a terminal, and a table on one', async () => {
    database = await readings();
    const words = ['partitions', 'detach', '-t', 'readings', 'readings_2025_12', 'readings_2026_03'];
    const onTerminal = await runText(database, [...words, '--dry-run'], { terminal: 120 });
    expect(onTerminal.stdout).toContain('-- refused: readings_2026_03: readings_2026_03 covers the present');
    const piped = await runText(database, words);
    expect(piped.exitCode).toBe(6);
    expect(piped.stdout.split('\n').map((line) => line.split('\t').slice(0, 4))).toEqual([
      ['detached', 'readings_2025_12', '2025-12-01T00:00:00Z', '2026-01-01T00:00:00Z'],
      ['refused', 'readings_2026_03', 'current_leaf', expect.stringContaining('covers the present')],
      [''],
    ]);
    const { stdout } = await runText(database, [...words.slice(0, 4), 'readings_2026_01', '--no-color'], {
      terminal: 120,
    });
    expect(stdout).toContain('readings_2026_01  2026-01-01  2026-02-01      detached  public');
  });

  it('a leaf that is only to be moved as moved', async () => {
    database = await readings('create schema archive');
    await detach(database, ['readings_2025_12']);
    const run = await detach(database, ['readings_2025_12', '--into-schema', 'archive']);
    expect(run).toMatchObject({ exitCode: 0, changed: true, data: { moved: ['readings_2025_12'] } });
    const back = await runJson(database, [
      'partitions',
      'attach',
      '-t',
      'readings',
      'archive.readings_2025_12',
    ]);
    expect(back).toMatchObject({ exitCode: 0, data: { attached: ['readings_2025_12'] } });
    expect(await leavesOf(database.sql)).toContain('readings_2025_12');
  });
});
