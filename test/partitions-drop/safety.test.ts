import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runJson, runText } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning;
    drop schema public cascade; create schema public; drop schema if exists sensordb cascade;
    create table t (id bigint not null, at timestamptz not null, primary key (id, at)) partition by range (at);
    create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z');
    create table t_2 partition of t for values from ('2025-02-01Z') to ('2025-03-01Z');
    create table t_3 partition of t for values from ('2026-03-01Z') to ('2026-04-01Z');
    insert into t values (1, '2025-01-05Z'), (2, '2025-02-05Z')`);
});

const DROP = ['partitions', 'drop', '-t', 't', '--yes'];
const drop = (...words: string[]) => runJson(database, [...DROP, ...words]);

/** Drops while somebody else runs a statement, once, when the run sends one that matches. */
async function dropWith(words: readonly string[], at: RegExp, statements: string) {
  let done = false;
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (done || !at.test(text)) return;
      done = true;
      await database.sql.unsafe(statements);
    },
  });
  const result = await runJson({ url: proxy.url }, [...DROP, ...words]);
  await proxy.close();
  expect(done).toBe(true);
  return result;
}

const tables = async () =>
  (
    await database.sql<{ name: string }[]>`select relname as name from pg_class
      where relkind in ('r', 'p', 'v', 'm') and relnamespace = 'public'::regnamespace order by 1`
  ).map(({ name }) => name);

const DEPENDENTS = [
  ['a view', 'create view v as select id from t_1', 'depended_on', 'view public.v'],
  ['a materialized view', 'create materialized view v as select id from t_1', 'depended_on', 'view public.v'],
  [
    'a foreign key to its parent',
    'create table v (id bigint, at timestamptz, foreign key (id, at) references t)',
    'referenced',
    'v_id_at_fkey of public.v',
  ],
  [
    'a foreign key to itself',
    'create table v (id bigint, at timestamptz, foreign key (id, at) references t_1)',
    'referenced',
    'v_id_at_fkey of public.v',
  ],
] as const;

describe.each(DEPENDENTS)('%s', (what, statement, reason, name) => {
  it('keeps a leaf, with --no-gate or without; the run log has the reason', async () => {
    await database.sql.unsafe(statement);
    for (const more of [[], ['--no-gate']]) {
      const result = await drop('t_1', ...more);
      expect(result).toMatchObject({ exitCode: 6, changed: false, data: { dropped: [], overridden: [] } });
      expect(result.error).toMatchObject({ code: reason, message: expect.stringContaining(name) });
      expect(result.error?.hint).toBeTruthy();
      expect(result.data.refused).toMatchObject([{ name: 't_1', reason }]);
    }
    expect(await tables()).toEqual(['t', 't_1', 't_2', 't_3', 'v']);
    const log =
      await database.sql`select arguments -> 'noGate' as "noGate", exit_code, result -> 'refused' -> 0 ->> 'reason' as reason
      from sensordb.run_log order by id`;
    expect([...log]).toEqual([
      { noGate: false, exit_code: 6, reason },
      { noGate: true, exit_code: 6, reason },
    ]);
  });

  // Without the gate it is PostgreSQL that refuses.
  it.each([[[]], [['--no-gate']]])(
    'that comes up after the plan was made keeps a leaf, too (%s)',
    async (more) => {
      const result = await dropWith(['t_1', ...more], /^insert into sensordb.detached_leaf/, statement);
      expect(result).toMatchObject({ exitCode: 6, changed: false, data: { dropped: [] } });
      expect(result.error?.code).toBe(more.length === 0 ? reason : 'depended_on');
      expect(result.error?.hint).toBeTruthy();
      expect(await tables()).toEqual(['t', 't_1', 't_2', 't_3', 'v']);
      const constraint =
        await database.sql`select from pg_constraint where contype = 'f' and conparentid = 0 and connamespace = 'public'::regnamespace`;
      expect(constraint).toHaveLength(what.startsWith('a foreign key') ? 1 : 0);
    },
  );
});

it('--no-gate is refused without --yes, and shown by --dry-run without it', async () => {
  const words = ['partitions', 'drop', '-t', 't', 't_1', '--no-gate'];
  const refused = await runJson(database, words);
  expect(refused).toMatchObject({
    exitCode: 6,
    error: { code: 'confirmation_required', object: '--no-gate' },
  });
  expect((await runJson(database, [...words, '--dry-run'])).exitCode).toBe(0);
  expect(await tables()).toContain('t_1');
  expect(await drop('t_1', '--no-gate')).toMatchObject({ exitCode: 0, data: { dropped: ['t_1'] } });
});

it('a leaf that stays does not stop the others, nor count as dropped for the last one', async () => {
  await database.sql.unsafe('drop table t_3; create view v as select id from t_1');
  const result = await drop('--before', '2026');
  expect(result).toMatchObject({ exitCode: 6, changed: true, data: { dropped: ['t_2'] } });
  expect(result.data.refused).toMatchObject([{ name: 't_1', reason: 'depended_on' }]);
});

it('the script of a dry run drops what the run drops, and refuses what has come up since', async () => {
  const { stdout } = await runText(database, [
    'partitions',
    'drop',
    '-t',
    't',
    '--before',
    '2026',
    '--dry-run',
  ]);
  const script = stdout.slice(stdout.indexOf('begin'));
  await database.sql.unsafe('create view v as select id from t_2');
  await expect(database.connect().unsafe(script)).rejects.toMatchObject({
    code: 'SDB06',
    constraint_name: 'depended_on',
    message: 'view public.v depends on public.t_2.',
  });
  expect(await tables()).toEqual(['t', 't_2', 't_3', 'v']);
});

it('a dry run names what would be refused, what is concerned, and the locks', async () => {
  await database.sql.unsafe('create view v as select id from t_1');
  const words = ['partitions', 'drop', '-t', 't', '--before', '2026', '--dry-run'];
  const { stdout, exitCode } = await runText(database, words);
  expect(exitCode).toBe(6);
  expect(stdout).toContain('-- refused: view public.v depends on public.t_1.\n');
  expect(stdout).toMatch(/^-- concerns public\.t_2: never analyzed, \d+(\.\d+)? kB$/m);
  expect(stdout).toContain(
    '-- lock: ACCESS EXCLUSIVE on public.t\nlock table only public.t in access exclusive mode;\n',
  );
  // Behind the making of sensordb's own tables.
  const drops = stdout.slice(stdout.indexOf('-- Drop t_2'));
  expect(drops).toMatch(/drop table/);
  expect(drops).not.toMatch(/cascade/i);
});

describe('a leaf that is replaced', () => {
  const SWAP = 'alter table t_1 rename to t_1_kept; create table t_1 (precious text)';
  const AGAIN = "create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z')";

  it.each([
    ['after the plan was made', /^insert into sensordb.detached_leaf/, SWAP],
    ['by a partition of the same name and bounds', /^insert into sensordb/, `drop table t_1; ${AGAIN}`],
    ['after the first guard let it pass', /^drop table/, SWAP],
  ])('%s is not dropped, nor what has its name', async (_when, at, statements) => {
    const result = await dropWith(['t_1', 't_2'], at, statements);
    expect(result).toMatchObject({ exitCode: 6, error: { code: 'changed' }, data: { dropped: ['t_2'] } });
    expect(result.data.refused).toMatchObject([{ name: 't_1', reason: 'changed' }]);
    const kept = statements === SWAP ? ['t', 't_1', 't_1_kept', 't_3'] : ['t', 't_1', 't_3'];
    expect(await tables()).toEqual(kept);
    expect([...(await database.sql`select leaf_name from sensordb.detached_leaf`)]).toEqual([
      { leaf_name: 't_2' },
    ]);
  });

  it('by other bounds is not dropped, nor one that became the last', async () => {
    for (const statements of [
      `alter table t detach partition t_1; alter table t attach partition t_1
         for values from ('2025-01-01Z') to ('2025-01-31Z')`,
      'alter table t detach partition t_2; alter table t detach partition t_3',
    ]) {
      const result = await dropWith(['t_1'], /^insert into sensordb.detached_leaf/, statements);
      expect(result.exitCode).toBe(6);
      expect(result.error?.code).toMatch(statements.includes('attach') ? 'changed' : 'last_leaf');
    }
    expect(await tables()).toContain('t_1');
  });
});

describe('a detached leaf', () => {
  beforeEach(async () => {
    const { exitCode } = await runJson(database, ['partitions', 'detach', 't_1', '-t', 't']);
    expect(exitCode).toBe(0);
  });

  it('cannot be attached by others between the look at it and its drop', async () => {
    const attempts: unknown[] = [];
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (!/^drop table/.test(text)) return;
        const other = database.connect();
        await other`set lock_timeout to '50ms'`;
        const attach = `alter table t attach partition t_1 for values from ('2025-01-01Z') to ('2025-02-01Z')`;
        attempts.push(await other.unsafe(attach).catch(({ code }) => code));
      },
    });
    const { exitCode, data } = await runJson({ url: proxy.url }, [...DROP, 't_1']);
    await proxy.close();
    expect({ exitCode, dropped: data.dropped, attempts }).toEqual({
      exitCode: 0,
      dropped: ['t_1'],
      attempts: ['55P03'],
    });
  });

  it('that holds rows of another table by inheritance is not dropped', async () => {
    await database.sql.unsafe('create table big (at timestamptz); alter table t_1 inherit big');
    const { exitCode, data } = await drop('t_1');
    expect([exitCode, data.dropped, data.refused[0].reason]).toEqual([6, [], 'changed']);
    expect(await database.sql`select from big`).toHaveLength(1);
  });
});
