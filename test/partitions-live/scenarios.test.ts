import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { allTables } from '../support/leaf-facts.ts';
import { NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

type Options = Parameters<typeof runJson>[2];

async function run(words: readonly string[], options: Options & { readonly url?: string } = {}) {
  const { url = database.url, ...others } = options;
  return await runJson({ url }, ['partitions', ...words], { now: NOW, ...others });
}

async function must(words: readonly string[]) {
  const result = await run(words);
  expect(result, words.join(' ')).toMatchObject({ exitCode: 0, error: null });
  return result.data;
}

/** A table of six leaves, DEFAULT, rows in each, and one leaf detached; each command has something to do. */
async function makeVitals(table = 'vital', hasDefault = true): Promise<void> {
  const options = ['--table', table];
  await database.sql.unsafe(`
    create table ${table} (id int, at timestamptz, value int, primary key (id, at)) partition by range (at);
    ${hasDefault ? `create table ${table}_default partition of ${table} default` : ''}`);
  await must(['ensure', '--from', '2025-01', '--until', '2025-05', '--interval', 'month', ...options]);
  await must(['ensure', '--months', '0', ...options]);
  await database.sql.unsafe(`insert into ${table}
    select n, timestamptz '2025-01-01Z' + n * interval '1 day', n from generate_series(0, 119) n`);
  await must(['detach', `${table}_2025_04`, ...options]);
  await database.sql.unsafe(`alter table ${table}_2025_03 replica identity full`);
  if (hasDefault) await database.sql.unsafe(`insert into ${table} values (200, '2024-12-31Z', 200)`);
}

const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
  ['ensure', ['ensure', '--months', '2']],
  ['detach', ['detach', 'vital_2025_01']],
  ['attach', ['attach', 'vital_2025_04']],
  ['drop', ['drop', 'vital_2025_02', '--yes']],
  ['drain', ['drain']],
  ['repair', ['repair']],
];

const onVital = (words: readonly string[]): readonly string[] => [...words, '--table', 'vital'];

/** All that the catalog knows of the tables, and where each row is. */
async function wholeState(): Promise<unknown> {
  const rows = await database.sql`
    select tableoid::regclass::text as leaf, count(*)::int4 from vital group by 1 order by 1`;
  return { tables: await allTables(database.sql), rows: [...rows] };
}

describe('whatever TimeZone and DateStyle the role, the database and the client have', () => {
  it.each(['America/New_York', 'Asia/Kathmandu'])('%s: bounds and CHECKs are those of UTC', async (zone) => {
    await makeVitals();
    for (const [name, words] of COMMANDS) expect((await run(onVital(words))).exitCode, name).toBe(0);
    await must(onVital(['attach', 'vital_2025_01']));
    const expected = await wholeState();
    await database.drop();
    database = await createDatabase();
    await database.sql.unsafe(`alter database ${database.name} set timezone to '${zone}';
      alter database ${database.name} set datestyle to 'German, DMY'`);
    await makeVitals();
    const env = { PGTZ: zone, PGDATESTYLE: 'German', TZ: zone };
    for (const [name, words] of COMMANDS) expect((await run(onVital(words), { env })).exitCode, name).toBe(0);
    expect((await run(onVital(['attach', 'vital_2025_01']), { env })).exitCode).toBe(0);
    expect(await wholeState()).toEqual(expected);
  });
});

describe('a name of 63 bytes', () => {
  it.each([
    ['of one byte a character', 'v'.repeat(63)],
    ['of three bytes a character', '時'.repeat(21)],
  ])('%s lives through all commands, with DEFAULT and without', async (_what, table) => {
    for (const hasDefault of [true, false]) {
      await database.drop();
      database = await createDatabase();
      await database.sql.unsafe(`create table ${table} (at timestamptz, v int) partition by range (at)`);
      if (hasDefault) await database.sql.unsafe(`create table rest partition of ${table} default`);
      const options = ['--table', table];
      const { created } = await must([
        'ensure',
        '--from',
        '2025-01',
        '--until',
        '2025-03',
        '--interval',
        'month',
        ...options,
      ]);
      await must(['ensure', '--months', '0', ...options]);
      await database.sql.unsafe(`insert into ${table} values ('2025-01-05Z', 1), ('2025-02-05Z', 2)`);
      const before = await allTables(database.sql);
      expect((await must(['detach', ...created, ...options])).detached).toEqual(created);
      expect((await must(['attach', ...created, ...options])).attached).toEqual(created);
      expect(await allTables(database.sql)).toEqual(before);
      if (hasDefault) {
        await database.sql.unsafe(`insert into ${table} values ('2024-12-05Z', 3)`);
        expect((await must(['drain', ...options])).drained).toMatchObject([{ rows: 1 }]);
      }
      await must(['detach', created[0], ...options]);
      expect((await must(['drop', ...created, '--yes', ...options])).dropped).toEqual(created);
      expect(await database.sql.unsafe(`select from ${table}`)).toHaveLength(hasDefault ? 1 : 0);
    }
  });
});

describe('what may not be', () => {
  let stranger: TestRole;
  beforeEach(async () => {
    await makeVitals();
    stranger = await createRole(database);
    await database.sql.unsafe(`grant all on schema public, sensordb to ${stranger.name};
      grant all on all tables in schema public, sensordb to ${stranger.name}`);
  });
  afterEach(() => dropRoles(database.sql, [stranger]));

  it.each(COMMANDS)(
    '%s by a role that does not own the table: exit 1, and nothing is changed',
    async (_, words) => {
      const before = await wholeState();
      const { exitCode, error, changed } = await run(onVital(words), { url: stranger.url });
      expect([exitCode, changed]).toEqual([1, false]);
      expect(error).toMatchObject({ code: 'insufficient_privilege', hint: expect.any(String) });
      expect(error?.message).toMatch(/own/);
      expect(await wholeState()).toEqual(before);
    },
  );

  it.each(COMMANDS)(
    '%s where all transactions are read only: exit 1, and nothing is changed',
    async (_, words) => {
      const before = await wholeState();
      await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only to on`);
      const { exitCode, error, changed } = await run(onVital(words));
      await database.sql.unsafe(`alter database ${database.name} reset default_transaction_read_only`);
      expect([exitCode, changed]).toEqual([1, false]);
      expect(error?.hint).toEqual(expect.any(String));
      expect(await wholeState()).toEqual(before);
    },
  );
});

describe('a dry run says', () => {
  it('of each command how many rows and bytes it concerns, and who is in the way right now', async () => {
    await makeVitals();
    await database.sql`create index on only vital (value)`;
    const holder = database.connect();
    await holder.unsafe(`begin; lock table vital in share mode; lock table vital_2025_04 in share mode`);
    for (const [name, words] of COMMANDS) {
      const argv = ['partitions', ...onVital(words), '--dry-run'];
      const { stdout } = await runCli(argv, { url: database.url, now: NOW });
      expect(stdout, name).toMatch(/^-- concerns public\.vital_\w+: .*, \d+(\.\d+)? kB$/m);
      expect(stdout, name).toMatch(/^-- in the way now: pid \d+ .* holds ShareLock on public\.vital/m);
    }
    await holder.unsafe('rollback');
  });
});

describe('beside a leaf whose detach was interrupted', () => {
  beforeEach(async () => {
    await makeVitals('vital', false);
    const { sql } = database;
    const reader = database.connect();
    await reader.unsafe('begin; select from vital');
    await sql.begin(async () => {}); // A session of its own for what follows.
    await sql.unsafe(`set lock_timeout to '50ms'`);
    const detach = sql.unsafe('alter table vital detach partition vital_2025_02 concurrently');
    await expect(detach).rejects.toMatchObject({ code: '55P03' });
    await reader.unsafe('rollback');
    await reader.end();
    const pending = await sql`select inhrelid::regclass::text from pg_inherits where inhdetachpending`;
    expect(pending).toEqual([{ inhrelid: 'vital_2025_02' }]);
  });

  it.each([
    [
      'ensure',
      ['ensure', '--from', '2025-05', '--until', '2025-07'],
      'created',
      ['vital_2025_05', 'vital_2025_06'],
    ],
    ['detach', ['detach', 'vital_2025_01'], 'detached', ['vital_2025_01', 'vital_2025_02']],
    ['attach', ['attach', 'vital_2025_04'], 'attached', ['vital_2025_04']],
    ['drop', ['drop', 'vital_2025_01', '--yes'], 'dropped', ['vital_2025_01']],
    ['repair', ['repair'], 'mended', [{ name: 'vital_2025_03' }]],
  ])('%s does its work on the others', async (_what, words, key, done) => {
    expect((await must(onVital(words)))[key]).toMatchObject(done);
  });

  it('and a DEFAULT that was made since, all do theirs, and attach puts it back', async () => {
    const { sql } = database;
    await sql.unsafe(`create table vital_default partition of vital default;
      insert into vital values (200, '2024-12-31Z', 200)`);
    // The bounds of the leaf are taken yet, in DEFAULT as well (14 to 18).
    await expect(sql`insert into vital values (201, '2025-02-10Z', 201)`).rejects.toMatchObject({
      code: '23514',
    });
    const ensured = await run(onVital(['ensure', '--from', '2025-02', '--until', '2025-07']));
    expect(ensured).toMatchObject({ exitCode: 3, data: { created: ['vital_2025_05', 'vital_2025_06'] } });
    expect(ensured.data.conflicts).toMatchObject([{ reason: 'detach_pending' }, { reason: 'name_taken' }]);
    expect((await must(onVital(['drain']))).drained).toMatchObject([{ rows: 1 }]);
    expect((await must(onVital(['drop', 'vital_2025_01', '--yes']))).dropped).toEqual(['vital_2025_01']);
    const half = await run(onVital(['drop', 'vital_2025_02', '--yes']));
    expect([half.exitCode, half.data.refused]).toMatchObject([6, [{ reason: 'detach_pending' }]]);
    expect((await must(onVital(['attach', 'vital_2025_02']))).attached).toEqual(['vital_2025_02']);
    const [february] =
      await sql`select count(*)::int4 from vital where at >= '2025-02-01Z' and at < '2025-03-01Z'`;
    expect(february?.count).toBe(28);
  });
});

describe('a clock that is ahead of the server’s', () => {
  it('has nothing retired that is not over for the server', async () => {
    await makeVitals();
    const [now] = await database.sql<{ leaf: string; from: string; until: string }[]>`
      select to_char(now(), '"vital_"YYYY_MM') as leaf, to_char(now(), 'YYYY-MM') as from,
             to_char(now() + interval '1 month', 'YYYY-MM') as until`;
    const { leaf = '', from = '', until = '' } = now ?? {};
    await must(onVital(['ensure', '--from', from, '--until', until]));
    const ahead = { now: `${Number(until.slice(0, 4)) + 10}-01-01T00:00:00Z` };
    for (const words of [
      ['detach', leaf],
      ['drop', leaf, '--yes'],
    ]) {
      const { exitCode, data, warnings } = await run(onVital(words), ahead);
      expect([exitCode, data.refused]).toEqual([6, [expect.objectContaining({ reason: 'current_leaf' })]]);
      expect(warnings.map(({ code }) => code)).toContain('clock_skew');
    }
    const { data } = await run(onVital(['detach', '--older-than', '1d']), ahead);
    expect(data.detached).not.toContain(leaf);
    expect(data.refused).toEqual([]);
  });
});
