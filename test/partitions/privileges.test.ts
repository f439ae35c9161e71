import { execFileSync } from 'node:child_process';
import { chown, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { boundsOf, created, ensure, runJson } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { connectTo, createDatabase, startServer, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let owner: TestRole;
let other: TestRole;
beforeAll(async () => {
  database = await createDatabase();
  [owner, other] = [await createRole(database), await createRole(database)];
});
afterEach(async () => {
  await database.sql.unsafe(`drop schema if exists app cascade; drop schema if exists sensordb cascade;
    revoke all on database ${database.name} from ${owner.name}, ${other.name}`);
});
afterAll(async () => {
  await dropRoles(database.sql, [owner, other]);
  await database.drop();
});

async function makeTable(more: string): Promise<void> {
  await database.sql.unsafe(`create schema app; grant usage on schema app to ${owner.name}, ${other.name};
    create table app.t (at timestamptz not null) partition by range (at);
    create table app.t_default partition of app.t default;
    alter table app.t owner to ${owner.name}; alter table app.t_default owner to ${owner.name}; ${more}`);
}

const TABLE = ['-t', 'app.t', '--months', '0'];

describe('a role that may not', () => {
  const cases: readonly (readonly [string, () => string, () => TestRole, string])[] = [
    [
      'own the table, with every right that can be granted',
      () => `grant all on app.t, app.t_default to ${other.name}; grant all on schema app to ${other.name};
        grant create on database ${database.name} to ${other.name}`,
      () => other,
      'does not own app.t',
    ],
    [
      'make tables in its schema, though it owns the table',
      () => `grant create on database ${database.name} to ${owner.name}`,
      () => owner,
      'may not create tables in schema app',
    ],
    ['make the tool’s own schema', () => `grant all on schema app to ${owner.name}`, () => owner, 'sensordb'],
    [
      'use the tool’s own schema of another role',
      () => `grant all on schema app to ${owner.name}; create schema sensordb`,
      () => owner,
      'sensordb',
    ],
    [
      'read DEFAULT',
      () => `grant all on schema app to ${owner.name}; alter table app.t_default owner to current_user;
        grant create on database ${database.name} to ${owner.name}`,
      () => owner,
      't_default',
    ],
  ];
  it.each(cases)('%s: exit 1 before anything is made', async (_, ddl, role, said) => {
    await makeTable(ddl());
    const result = await ensure({ url: role().url }, TABLE);
    expect(result).toMatchObject({
      exitCode: 1,
      ok: false,
      changed: false,
      error: { code: 'insufficient_privilege', sqlstate: '42501', message: expect.stringContaining(said) },
    });
    expect(result.error?.hint).toBeTruthy();
    expect(await boundsOf(database, 'app.t')).toEqual([['t_default', 'DEFAULT']]);
    const [row] = await database.sql`select to_regclass('sensordb.run_log') as log`;
    expect(row).toEqual({ log: null });
  });

  it('do as a hint says may do it then', async () => {
    await makeTable(`grant create on database ${database.name} to ${owner.name}`);
    const { error } = await ensure({ url: owner.url }, TABLE);
    await database.sql.unsafe((error?.hint ?? '').replace(/\.$/, ''));
    expect(await created({ url: owner.url }, TABLE)).toEqual(['t_2026_03']);
  });
});

it('a standby is refused with exit 1, and can be listed', async () => {
  const primary = await startServer({ settings: { synchronous_commit: 'on' } });
  const sql = connectTo(primary.url);
  await sql.unsafe(`create table t (at timestamptz not null) partition by range (at);
    create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00')`);
  await sql.end();
  await primary.kill();
  const standby = await startServer({
    prepare: async (dataDirectory, account) => {
      await rm(dataDirectory, { recursive: true });
      execFileSync('cp', ['-pR', primary.dataDirectory, dataDirectory]);
      const signal = join(dataDirectory, 'standby.signal');
      await writeFile(signal, '');
      if (account !== null) await chown(signal, account.uid, account.gid);
      await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
    },
  });
  try {
    const result = await ensure(standby, ['-t', 't', '--months', '1']);
    expect(result).toMatchObject({ exitCode: 1, error: { code: 'standby', sqlstate: '25006' } });
    const list = await runJson(standby, ['partitions', 'list', '-t', 't']);
    expect(list).toMatchObject({ exitCode: 0, data: { runwayUntil: '2026-04-01T00:00:00Z' } });
  } finally {
    await standby.stop();
    await primary.stop();
  }
});
