import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, spawnCli } from '../support/cli.ts';
import { type KillScene, surviveCuts, surviveKills, surviveTerminations } from '../support/kills.ts';
import { NOW } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql`set client_min_messages to warning`;
  await database.sql`create publication own`;
  await runCli(['migrate', 'up', '--state-only', '--quiet'], { url: database.url });
});
afterAll(() => database.drop());

/** Brings back a table with its leaf, which is a member of a publication. */
async function makeTable(more = ''): Promise<void> {
  await database.sql.unsafe(`truncate sensordb.detached_leaf, sensordb.run_log; drop schema if exists archive cascade;
    drop table if exists readings, readings_2025_01, device; create schema archive;
    create table device (id int primary key); insert into device values (1);
    create table readings (id int, device_id int references device, at timestamptz, primary key (id, at)) partition by range (at);
    create table readings_2025_01 partition of readings for values from ('2025-01-01Z') to ('2025-02-01Z');
    create table readings_2025_02 partition of readings for values from ('2025-02-01Z') to ('2025-03-01Z');
    insert into readings select n, 1, timestamptz '2025-01-01Z' + n * interval '1 day' from generate_series(0, 50) n;
    alter publication own add table readings_2025_01; ${more}`);
}

/** The catalog as far as a detach or attach touches it, what is remembered, and no lock of anybody's. */
async function endState(): Promise<unknown> {
  const { sql } = database;
  const relations = await sql`
    select relnamespace::regnamespace::text as schema, relname, relkind, relispartition, pg_get_expr(relpartbound, 0) as bound
      from pg_class where relnamespace::regnamespace::text in ('public', 'archive') order by 1, 2`;
  const constraints = await sql`
    select conrelid::regclass::text as table, conname, convalidated, coninhcount, pg_get_constraintdef(oid) as definition
      from pg_constraint where connamespace::regnamespace::text in ('public', 'archive') order by 1, 2`;
  const noted = await sql`select leaf_name, leaf_schema, bound, state, target_schema, check_name, publications
    from sensordb.detached_leaf order by id desc limit 1`;
  const members = await sql`select prrelid::regclass::text as leaf from pg_publication_rel`;
  const triggers =
    await sql`select tgrelid::regclass::text as table, count(*)::int from pg_trigger group by 1 order by 1`;
  const locks = await sql`select classid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  const rows = await sql`select count(*)::int from readings`;
  const all = { relations, constraints, noted, members, triggers, locks, rows };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, [...value]]));
}

const DETACH = [
  'partitions',
  'detach',
  '-t',
  'readings',
  'readings_2025_01',
  '--into-schema',
  'archive',
  '--json',
];
const ATTACH = ['partitions', 'attach', '-t', 'readings', 'readings_2025_01', '--json'];

async function makeDetached(): Promise<void> {
  await makeTable('create table readings_default partition of readings default');
  const { exitCode } = await runCli(DETACH, { url: database.url, now: NOW });
  expect(exitCode).toBe(0);
  // It is to get its CHECK anew.
  await database.sql.unsafe('alter table archive.readings_2025_01 drop constraint readings_2025_01_at_check');
}

// What only looks, before the work, is disturbed in the tests of other commands.
const WORK =
  /^(alter|lock|insert into sensordb|update sensordb|select sensordb|set lock_timeout|reset|commit)/;

const CHANGES = /^(commit of )?(alter|insert into sensordb|update sensordb|select sensordb)/;

const SCENES: readonly (readonly [string, Omit<KillScene, 'database'>])[] = [
  ['detach CONCURRENTLY', { words: DETACH, reset: () => makeTable() }],
  [
    'detach beside DEFAULT',
    { words: DETACH, reset: () => makeTable('create table readings_default partition of readings default') },
  ],
  ['attach', { words: ATTACH, reset: makeDetached }],
].map(([name, scene]) => [
  name as string,
  { ...(scene as Pick<KillScene, 'words' | 'reset'>), now: NOW, endState, kindWords: 6, among: WORK },
]);

describe.each(SCENES)('%s', (_name, scene) => {
  it('is made good by the next run, wherever the connection broke', { timeout: 120_000 }, async () => {
    await surviveCuts({ ...scene, database });
  });
});

describe.each(SCENES)('%s', (_name, scene) => {
  it('is made good by the next run when its server process is terminated', { timeout: 120_000 }, async () => {
    await surviveTerminations({ ...scene, database, among: CHANGES });
  });

  it('is made good by the next run after SIGKILL', { timeout: 120_000 }, async () => {
    await surviveKills({ ...scene, database, among: CHANGES });
  });
});

describe('DETACH CONCURRENTLY, while it waits for somebody', () => {
  const isPending = async () =>
    (await database.sql`select from pg_inherits where inhdetachpending`).length === 1;

  it.each(['cut', 'terminate', 'SIGKILL'])(
    'and is disturbed (%s), is completed by the next run',
    async (how) => {
      await makeTable();
      const undisturbed = await runCli(DETACH, { url: database.url, now: NOW });
      expect(undisturbed.exitCode).toBe(0);
      const state = await endState();
      await makeTable();
      const reader = database.connect();
      await reader.unsafe(
        `begin isolation level repeatable read; select 1 from device; lock table only readings in access share mode`,
      );
      const disturber: { cut: () => void; pid: number } = { cut: () => {}, pid: 0 };
      const proxy = await startProxy(database.url, {
        before: ({ text, cut, backendPid }) => {
          if (text.endsWith('concurrently')) Object.assign(disturber, { cut, pid: backendPid });
        },
      });
      const run = spawnCli([...DETACH, '--wait', '60s'], { url: proxy.url });
      await until(isPending);
      if (how === 'cut') disturber.cut();
      else if (how === 'terminate') await database.sql`select pg_terminate_backend(${disturber.pid}, 5000)`;
      else run.kill('SIGKILL');
      const { exitCode } = await run.ended;
      expect(exitCode === null || exitCode === 1 || exitCode === 4, String(exitCode)).toBe(true);
      await proxy.close();
      expect(await isPending()).toBe(true);
      await reader.unsafe('rollback');
      const again = await runCli([...DETACH, '--wait', '60s'], { url: database.url, now: NOW });
      // Left alone, the server process may have come to its end by itself.
      expect([again.exitCode, again.json().error]).toEqual([0, null]);
      expect(await endState()).toEqual(state);
    },
  );
});
