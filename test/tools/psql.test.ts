import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { liveDatabase, NOW, relations } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let other: TestDatabase;
beforeEach(async () => {
  [database, other] = await Promise.all([liveDatabase(), liveDatabase()]);
});
afterEach(() => Promise.all([database.drop(), other.drop()]));

async function psql(url: string, args: readonly string[], input = '') {
  const child = spawn('/usr/bin/psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...args, url], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
  const exitCode = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [stderr, stdout] = await Promise.all([text(child.stderr), text(child.stdout)]);
  return { exitCode: await exitCode, stderr, stdout };
}

it('psql makes of what --dry-run prints what the run itself makes', async () => {
  const words = ['partitions', 'ensure', '--months', '2'];
  const { stdout } = await runCli([...words, '--dry-run'], { url: database.url, now: NOW });
  expect(await psql(database.url, [], stdout)).toMatchObject({ exitCode: 0, stderr: '' });
  expect((await runCli(words, { url: other.url, now: NOW })).exitCode).toBe(0);
  expect(await relations(database)).toEqual(await relations(other));
  expect(await relations(database)).not.toHaveLength(0);
});

const OLD = 'sensors_sensorreading_2025_03';

/** What a life leaves behind: relations, what was detached, and the rows of each table. */
async function traces({ sql, ...database }: TestDatabase) {
  const rows =
    await sql`select tableoid::regclass::text as leaf, timestamp, value from sensors_sensorreading order by 2`;
  const [registry] = await sql`select to_regclass('sensordb.detached_leaf') as is_there`;
  const detached =
    registry?.is_there === null
      ? []
      : await sql`select leaf_name, bound, state, check_name from sensordb.detached_leaf order by id`;
  return { relations: await relations({ sql, ...database }), rows: [...rows], detached: [...detached] };
}

it.each([
  ['beside DEFAULT', ''],
  ['without DEFAULT', 'drop table sensors_sensorreading_default'],
])('psql lives a whole life %s by what --dry-run prints', { timeout: 60_000 }, async (_name, prepare) => {
  for (const { sql } of [database, other]) {
    await sql.unsafe(`create schema archive;
      create table ${OLD} partition of sensors_sensorreading for values from ('2025-03-01') to ('2025-04-01');
      insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2025-03-05', 1);
      ${prepare}`);
    if (prepare === '')
      await sql`insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2024-06-05', 2)`;
    await sql.unsafe('alter table sensors_sensorreading_2026_03 replica identity full');
  }
  const life = [
    ['detach', OLD, '--into-schema', 'archive'],
    ['attach', OLD],
    ['drain'],
    ['repair'],
    ['detach', '--older-than', '11mo'],
    ['drop', OLD, '--yes'],
    ['ensure', '--months', '1'],
  ];
  for (const verb of life) {
    const words = ['partitions', ...verb];
    const { stdout } = await runCli([...words, '--dry-run'], { url: database.url, now: NOW });
    const byHand = await psql(database.url, [], stdout);
    const run = await runCli(words, { url: other.url, now: NOW });
    expect([verb, byHand.exitCode, byHand.stderr, run.exitCode]).toEqual([verb, 0, '', 0]);
    expect([verb, await traces(database)]).toEqual([verb, await traces(other)]);
  }
});

it('psql makes of `migrate up --dry-run` what the run itself makes', async () => {
  const words = ['migrate', 'up', '--schema', 'new "one"'];
  for (const { sql } of [database, other]) await sql.unsafe('create schema "new ""one"""');
  const { stdout } = await runCli([...words, '--dry-run'], { url: database.url });
  expect(await psql(database.url, [], stdout)).toMatchObject({ exitCode: 0, stderr: '' });
  expect((await runCli(words, { url: other.url })).exitCode).toBe(0);
  const list = ({ sql }: TestDatabase) => sql`select relname, relkind from pg_class c
    join pg_namespace n on n.oid = relnamespace where nspname = 'new "one"' order by 1`;
  expect([...(await list(database))]).toEqual([...(await list(other))]);
  const status = await runCli(['migrate', 'status', '--check', '--schema', 'new "one"'], {
    url: database.url,
  });
  expect(status.exitCode).toBe(0);
});

it('psql -v runs the files of sql/ as they are', async () => {
  const file = (name: string) => fileURLToPath(new URL(`../../sql/partitions/${name}`, import.meta.url));
  const values = {
    schema: 'public',
    leaf: 'a "leaf"',
    parent_schema: 'public',
    parent: 'sensors_sensorreading',
    lower: '2030-01-01 00:00:00+00',
    upper: '2030-02-01 00:00:00+00',
  };
  const variables = Object.entries(values).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
  for (const name of ['create_leaf.sql', 'attach_leaf.sql']) {
    expect(await psql(database.url, [...variables, '-f', file(name)])).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
  }
  const [leaf] =
    await database.sql`select pg_get_expr(relpartbound, 0) as bound from pg_class where relname = 'a "leaf"'`;
  expect(leaf?.bound).toBe("FOR VALUES FROM ('2030-01-01 00:00:00+00') TO ('2030-02-01 00:00:00+00')");
});
