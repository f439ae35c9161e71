import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** The clock is that of runJson, 2026-03-15: three leaves are past, March is the present, April the future. */
beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning;
    drop schema public cascade; create schema public; drop schema if exists sensordb cascade;
    create table t (id bigint not null, at timestamptz not null, primary key (id, at)) partition by range (at)`);
  for (const [name, lower, upper] of LEAVES) {
    await database.sql.unsafe(
      `create table ${name} partition of t for values from ('${lower}Z') to ('${upper}Z')`,
    );
  }
  await database.sql.unsafe(
    "create table t_default partition of t default; insert into t values (1, '2025-12-05Z')",
  );
});

const LEAVES = [
  ['t_2025_12', '2025-12-01', '2026-01-01'],
  ['t_2026_01', '2026-01-01', '2026-02-01'],
  ['t_2026_02', '2026-02-01', '2026-03-01'],
  ['t_2026_03', '2026-03-01', '2026-04-01'],
  ['t_2026_04', '2026-04-01', '2026-05-01'],
] as const;

const drop = (...words: string[]) => runJson(database, ['partitions', 'drop', '-t', 't', ...words]);

it('drops', async () => {
  console.log(JSON.stringify(await drop('t_2025_12', '--yes'), null, 1));
  console.log(JSON.stringify(await drop('--before', '2026-02'), null, 1));
  console.log(JSON.stringify(await drop('--before', '2026-06', '--dry-run'), null, 1));
  console.log(JSON.stringify(await drop('--before', '2026-06', '--yes'), null, 1));
  console.log(
    await database.sql`select * from sensordb.detached_leaf`,
    await database.sql`select arguments, result,exit_code from sensordb.run_log`,
  );
  expect(1).toBe(1);
});
