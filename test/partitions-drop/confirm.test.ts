import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { interruption } from '../../src/cli/signals.ts';
import { runCli } from '../support/cli.ts';
import { until } from '../support/live.ts';
import { runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning;
    drop schema public cascade; create schema public; drop schema if exists sensordb cascade;
    create table t (id bigint, at timestamptz not null) partition by range (at);
    create table t_now partition of t for values from ('2026-03-01Z') to ('2026-04-01Z')`);
  for (const month of [1, 2, 3, 4, 5]) {
    await database.sql.unsafe(
      `create table t_${month} partition of t for values from ('2025-0${month}-01Z') to ('2025-0${month + 1}-01Z')`,
    );
  }
  await database.sql.unsafe(
    `insert into t select i, '2025-01-05Z' from generate_series(1, 1234) i; analyze t_1, t_2`,
  );
});

const WORDS = ['partitions', 'drop', '-t', 't', '--before', '2026'];
const QUESTION =
  /^Drop these 5 leaves of public\.t, about 1,234 rows and 3 never analyzed, [\d.]+ kB: t_1, t_2, t_3 and 2 more\? \[y\/N\] /;

const count = async () =>
  (await database.sql`select count(*)::int4 from pg_inherits where inhparent = 't'::regclass`)[0]?.count;

it('off a terminal nothing is dropped unasked: what would be is listed, and exit 6', async () => {
  const result = await runJson(database, WORDS);
  expect(result).toMatchObject({
    exitCode: 6,
    ok: false,
    changed: false,
    data: { dropped: [], toDrop: ['t_1', 't_2', 't_3', 't_4', 't_5'], refused: [] },
    error: { code: 'confirmation_required', hint: expect.stringContaining('--yes') },
  });
  const text = await runText(database, WORDS);
  expect(text.exitCode).toBe(6);
  expect(text.stdout.split('\n')[0]).toBe('to drop\tt_1\t2025-01-01T00:00:00Z\t2025-02-01T00:00:00Z');
  expect(text.stderr).toMatch(/^error: Dropping 5 leaves of public\.t wants --yes/m);
  expect(await count()).toBe(6);
});

it('a run that nobody agreed to makes none of sensordb’s own tables, and is noted in those that are there', async () => {
  await runJson(database, WORDS);
  expect(await database.sql`select to_regnamespace('sensordb') as oid`).toEqual([{ oid: null }]);
  await runJson(database, [...WORDS.slice(0, 4), 't_1', '--yes']);
  await runJson(database, WORDS);
  const log = await database.sql`select exit_code, changed, result -> 'error' ->> 'code' as code
    from sensordb.run_log order by id`;
  expect([...log]).toEqual([
    { exit_code: 0, changed: true, code: null },
    { exit_code: 6, changed: false, code: 'confirmation_required' },
  ]);
});

it('--dry-run and a run with nothing to drop need no --yes', async () => {
  expect((await runJson(database, [...WORDS, '--dry-run'])).exitCode).toBe(0);
  expect((await runJson(database, [...WORDS.slice(0, 5), '2020'])).exitCode).toBe(0);
  expect((await runJson(database, [...WORDS.slice(0, 4), 't_now'])).error?.code).toBe('current_leaf');
});

it.each(['y\n', 'YES\n', ' yes \n'])('on a terminal it asks, and goes on at %j', async (typed) => {
  const { exitCode, stderr, stdout } = await runText(database, WORDS, {
    terminal: 120,
    typed,
    env: { CI: '1' },
  });
  expect(stderr).toMatch(QUESTION);
  expect([exitCode, await count()]).toEqual([0, 1]);
  expect(stdout).toMatch(/t_5 +2025-05-01 +2025-06-01 +.*dropped/);
});

it.each(['n\n', '\n', 'yess\n', 'no\ny\n', '', 'yes please\n'])(
  'on a terminal it goes on at nothing else (%j)',
  async (typed) => {
    const { exitCode, stderr, stdout } = await runText(database, WORDS, {
      terminal: 120,
      typed,
      env: { CI: '1' },
    });
    expect([exitCode, await count()]).toEqual([6, 6]);
    expect(stderr).toMatch(/error:.* Not confirmed: nothing of public\.t was dropped/);
    expect(stdout).toMatch(/t_5 .*to drop/);
  },
);

it('it asks on stderr with --json, too, and answers on stdout', async () => {
  const { stderr, json } = await runText(database, [...WORDS, '--json'], {
    terminal: 120,
    typed: 'y\n',
    env: { CI: '1' },
  });
  expect(stderr).toMatch(QUESTION);
  expect(json()).toMatchObject({ ok: true, data: { dropped: ['t_1', 't_2', 't_3', 't_4', 't_5'] } });
});

it('it holds no lock while it asks, and drops no more than it asked about', async () => {
  const typed = async function* () {
    await until('it has planned', async () => {
      const rows = await database.sql`select from pg_stat_activity where application_name = 'sensordb'
        and datname = current_database() and state = 'idle' and query = 'commit'`;
      return rows.length === 1;
    });
    const locks = await database.sql`select locktype from pg_locks l join pg_stat_activity a using (pid)
      where a.application_name = 'sensordb' and a.datname = current_database()`;
    expect([...locks]).toEqual([]);
    await database.sql.unsafe(`drop table t_2;
      create table t_0 partition of t for values from ('2024-01-01Z') to ('2024-02-01Z');
      create view v as select from t_3`);
    yield Buffer.from('y\n');
  };
  const { json, exitCode } = await runText(database, [...WORDS, '--json'], {
    terminal: 120,
    typed: typed(),
    env: { CI: '1' },
  });
  expect(exitCode).toBe(6);
  expect(json().data.dropped).toEqual(['t_1', 't_4', 't_5']);
  expect(json().data.refused).toMatchObject([{ name: 't_3', reason: 'depended_on' }]);
});

it('a leaf that is freed while it asks is left for the next run', async () => {
  await database.sql.unsafe('create view v as select from t_3');
  const typed = async function* () {
    await database.sql.unsafe('drop view v');
    yield Buffer.from('y\n');
  };
  const { json } = await runText(database, [...WORDS, '--json'], {
    terminal: 120,
    typed: typed(),
    env: { CI: '1' },
  });
  expect(json().data.dropped).toEqual(['t_1', 't_2', 't_4', 't_5']);
  expect(json().data.refused).toMatchObject([{ name: 't_3', reason: 'changed' }]);
});

it('Ctrl-C at the question ends the run with 130, with nothing dropped', async () => {
  const controller = new AbortController();
  const typed = async function* () {
    controller.abort(interruption('SIGINT'));
    await new Promise(() => {});
    yield Buffer.from('y\n');
  };
  const { exitCode } = await runCli(WORDS, {
    url: database.url,
    terminal: 120,
    typed: typed(),
    signal: controller.signal,
    env: { CI: '1' },
  });
  expect([exitCode, await count()]).toEqual([130, 6]);
});
