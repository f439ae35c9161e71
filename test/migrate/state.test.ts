import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { createDatabase, startServer, type TestDatabase } from '../support/server.ts';

const ROLE = `test_role_${process.pid}`;
let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create role ${ROLE} login`);
});
afterEach(async () => {
  await database.sql.unsafe(`drop owned by ${ROLE} cascade; drop role ${ROLE}`);
  await database.drop();
});

const up = (words: readonly string[] = [], env: Record<string, string> = {}) =>
  runCli(['migrate', 'up', '--json', ...words], { url: database.url, env });
/** Runs as the other role: SET ROLE at the start of the session. */
const upAsRole = (words: readonly string[] = []) =>
  runCli(['migrate', 'up', '--json', ...words], {
    url: `${database.url}&options=${encodeURIComponent(`-c role=${ROLE}`)}`,
  });

describe('a role without the right', () => {
  it('to create schemas in the database is told so, with the remedy', async () => {
    const { exitCode, json } = await upAsRole();
    expect(exitCode).toBe(1);
    expect(json().error).toMatchObject({
      code: 'insufficient_privilege',
      sqlstate: '42501',
      object: 'sensordb',
    });
    expect(json().error?.hint).toContain(`GRANT CREATE ON DATABASE ${database.name} TO ${ROLE}`);
    expect(json().error?.hint).toContain('migrate up --state-only');
  });

  it('to use schema sensordb is told who owns it', async () => {
    expect((await up(['--state-only'])).exitCode).toBe(0);
    const { exitCode, json } = await upAsRole();
    expect(exitCode).toBe(1);
    expect(json().error).toMatchObject({ code: 'insufficient_privilege', sqlstate: '42501' });
    expect(json().error?.hint).toContain('It belongs to postgres');
  });

  it('to create tables in the schema is told so, and nothing is made', async () => {
    await database.sql.unsafe(`grant create on database ${database.name} to ${ROLE};
      create schema closed; grant usage on schema closed to ${ROLE}`);
    const { exitCode, json } = await upAsRole(['--schema', 'closed']);
    expect(exitCode).toBe(1);
    expect(json()).toMatchObject({ changed: false, data: { applied: [] } });
    expect(json().error).toMatchObject({
      code: 'insufficient_privilege',
      sqlstate: '42501',
      object: 'closed',
    });
    expect(json().error?.message).toContain('permission denied for schema closed');
    expect(json().error?.hint).toContain(`GRANT USAGE, CREATE ON SCHEMA closed TO ${ROLE}`);
  });

  it('but with those of an owner can do all of it', async () => {
    await database.sql.unsafe(`grant create on database ${database.name} to ${ROLE};
      create schema theirs authorization ${ROLE}`);
    expect((await upAsRole(['--schema', 'theirs'])).exitCode).toBe(0);
    const owners = await database.sql`select distinct tableowner as owner from pg_tables
      where schemaname in ('theirs', 'sensordb')`;
    expect([...owners]).toEqual([{ owner: ROLE }]);
  });
});

it('refuses a standby before anything else', async () => {
  const standby = await startServer({
    prepare: async (dataDirectory) => {
      await writeFile(join(dataDirectory, 'standby.signal'), '');
    },
  });
  for (const words of [
    ['migrate', 'up'],
    ['partitions', 'ensure', '--months', '1'],
  ]) {
    const { exitCode, json } = await runCli([...words, '--json'], { url: standby.url });
    expect([exitCode, json().error?.code, json().error?.sqlstate]).toEqual([1, 'standby', '25006']);
  }
  expect((await runCli(['migrate', 'status'], { url: standby.url })).exitCode).toBe(0);
  await standby.stop();
});
