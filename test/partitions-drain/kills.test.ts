import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { type KillScene, surviveKills, surviveTerminations } from '../support/kills.ts';
import { NOW, relations } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql`set client_min_messages to warning`;
  await database.sql.unsafe(`create table device (id int primary key); insert into device values (1);
    create table t (id int, at timestamptz not null, v text, device int references device, primary key (id, at)) partition by range (at);
    create table t_default partition of t default;
    create table kept (like t)`);
});
afterAll(() => database.drop());

const ROWS = 150;
const OTHERS = 60_000;

/** Brings back the beginning: rows of April in DEFAULT, over several blocks. */
async function reset(): Promise<void> {
  await database.sql.unsafe(`drop schema if exists sensordb cascade; truncate kept;
    drop table if exists t_2026_04, t_2026_05, t_2026_04_draining, t_2026_05_draining;
    alter table t_default drop constraint if exists sensordb_guard;
    delete from t_default where at < '2026-09-01';
    insert into t select g, timestamptz '2026-04-20+00' + g * interval '1 hour', repeat('y', 200), 1 from generate_series(1, ${ROWS}) g;
    insert into kept select * from t where at < '2026-09-01'`);
}

async function endState(): Promise<unknown> {
  const { sql } = database;
  const rows =
    await sql`select tableoid::regclass::text as leaf, count(*)::int as rows from t group by 1 order by 1`;
  const lost = await sql`table kept except all select * from t where at < '2026-09-01'`;
  const constraints =
    await sql`select conrelid::regclass::text as relation, conname, convalidated from pg_constraint
    where conrelid::regclass::text ~ '^t_' and contype <> 'n' order by 1, 2`;
  const drains =
    await sql`select lower_bound, state from sensordb.drain where state <> 'given_up' order by id`;
  const copied = await sql`select count(*)::int as n from sensordb.drain_row`;
  const locks = await sql`select classid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  return {
    relations: await relations(database),
    rows: [...rows],
    lost: lost.length,
    constraints: [...constraints],
    drains: [...drains],
    copied: [...copied],
    locks: [...locks],
  };
}

describe.each([
  ['drain', [], 0],
  // So many that the scan of DEFAULT takes longer than a millisecond.
  ['drain --guard-default', ['--guard-default', '--lock-timeout', '1ms'], OTHERS],
])('%s', (_, more, others) => {
  const words = [
    'partitions',
    'drain',
    ...more,
    '-t',
    't',
    '--until',
    '2026-08',
    '--batch-rows',
    '80',
    '--json',
  ];

  it('that lost its connection anywhere is made good by the next run', { timeout: 120_000 }, async () => {
    await database.sql`insert into t select g, '2026-09-01+00', repeat('x', 100), 1 from generate_series(1, ${others}) g`;
    await reset();
    const proxy = await startProxy(database.url);
    expect((await runCli(words, { url: proxy.url, now: NOW })).exitCode).toBe(0);
    await proxy.close();
    const state = await endState();
    expect(state).toMatchObject({ lost: 0, copied: [{ n: 0 }] });
    const guardedFrom = proxy.statements.findIndex((text) => text.includes('sensordb_guard'));
    expect(guardedFrom > 0).toBe(others > 0);
    const chosen = oneOfEachKind(proxy.statements).filter(([index]) => index >= guardedFrom);
    expect(chosen.length).toBeGreaterThan(7);
    for (const [index, text] of chosen) {
      await reset();
      // Before a statement is as after the one before it, but for the last answer, that to COMMIT above all.
      const when = text === 'commit' ? 'after' : 'before';
      const where = `cut ${when} ${index + 1}: ${text.slice(0, 80)}`;
      const cutting = await startProxy(database.url, {
        [when]: ({ number, cut }: { number: number; cut: () => void }) =>
          number === index + 1 ? cut() : undefined,
      });
      const { exitCode } = await runCli(words, { url: cutting.url, now: NOW });
      await cutting.close();
      expect([0, 1, 4], where).toContain(exitCode);
      const [sum] = await database.sql`select count(*)::int as n from t`;
      expect(sum, where).toEqual({ n: others + ROWS });
      const again = await runCli([...words, '--wait', '10s'], { url: database.url, now: NOW });
      expect([again.exitCode, again.stdout], where).toEqual([0, expect.anything()]);
      expect(await endState(), where).toEqual(state);
    }
  });
});

describe('drain', () => {
  // A DEFAULT with room for so many others would be scanned to measure how long that takes: it can be too long.
  beforeAll(() => database.sql`truncate t_default`);

  const scene = (): KillScene => ({
    words: ['partitions', 'drain', '-t', 't', '--until', '2026-08', '--batch-rows', '80', '--json'],
    database,
    now: NOW,
    reset,
    endState,
    kindWords: 5,
    among: CHANGES,
  });

  it('is made good by the next run when its server process is terminated', { timeout: 120_000 }, async () => {
    await surviveTerminations(scene());
  });

  it('is made good by the next run after SIGKILL', { timeout: 120_000 }, async () => {
    await surviveKills(scene());
  });
});

const CHANGES =
  /^(commit of )?(create table public|alter|update|insert into sensordb.drain|with (gone|source)|lock|drop|vacuum)|^commit of select count/;

/** Chooses one statement of each kind that changes something or ends a transaction. */
function oneOfEachKind(statements: readonly string[]): readonly (readonly [number, string])[] {
  const start = (text = '') => text.trim().split(/\s+/).slice(0, 5).join(' ');
  const kinds = new Map<string, readonly [number, string]>();
  for (const [index, text] of statements.entries()) {
    if (!/^(create table (?!sensordb)|alter|update|insert into "?t|with|lock|drop|vacuum|commit)/.test(text))
      continue;
    const kind = text === 'commit' ? `commit of ${start(statements[index - 1])}` : start(text);
    if (!kinds.has(kind)) kinds.set(kind, [index, text]);
  }
  return [...kinds.values()];
}
