import { afterEach, beforeEach, expect, it } from 'vitest';
import { attach, detach, leavesOf, readings } from '../support/detach.ts';
import { runJson } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let role: TestRole;
beforeEach(async () => {
  database = await readings();
  role = await createRole(database);
  await detach(database, ['readings_2025_12']);
  await database.sql.unsafe(`alter table device owner to ${role.name}; grant all on schema public to ${role.name};
    grant create on database ${database.name} to ${role.name}`);
  for (const name of ['readings', 'readings_2025_12', ...(await leavesOf(database.sql))])
    await database.sql.unsafe(`alter table ${name} owner to ${role.name}`);
});
afterEach(async () => {
  await dropRoles(database.sql, [role]);
  await database.drop();
});

it('a role without a right on schema sensordb is told whose it is, and what to grant', async () => {
  const run = await detach({ url: role.url }, ['readings_2026_01']);
  expect(run).toMatchObject({
    exitCode: 1,
    changed: false,
    error: { code: 'insufficient_privilege', sqlstate: '42501', object: 'sensordb' },
  });
  expect(run.error?.hint).toMatch(/^It belongs to postgres: /);
  const { hint } = run.error as { hint: string };
  const [grants = ''] = /GRANT .*(?=\.$)/.exec(hint) ?? [];
  const [usage = '', tables = ''] = grants.split('; ');
  await database.sql.unsafe(usage);
  expect(await detach({ url: role.url }, ['readings_2026_01'])).toMatchObject({
    exitCode: 1,
    error: { code: 'insufficient_privilege', hint },
  });
  await database.sql.unsafe(tables);
  expect(await detach({ url: role.url }, ['readings_2026_01'])).toMatchObject({ exitCode: 0, error: null });
  expect(await attach({ url: role.url }, ['readings_2025_12'])).toMatchObject({ exitCode: 0, error: null });
});

it('a right that is missing on a table of the user is no matter of schema sensordb', async () => {
  await database.sql.unsafe(`create table import (like readings including all);
    alter table import owner to postgres; revoke all on import from ${role.name}`);
  const words = ['import', '--from', '2025-11-01', '--until', '2025-12-01'];
  await database.sql.unsafe(`grant usage on schema sensordb to ${role.name};
    grant select, insert, update on all tables in schema sensordb to ${role.name}`);
  const run = await attach({ url: role.url }, words);
  expect(run).toMatchObject({ exitCode: 1, error: { code: 'insufficient_privilege' } });
  expect(run.error?.hint).not.toContain('schema sensordb');
});

it('a role that only looks is shown the leaves all the same', async () => {
  const run = await runJson({ url: role.url }, ['partitions', 'list', '-t', 'readings']);
  expect(run).toMatchObject({ exitCode: 0, data: { detached: [] } });
  expect(run.warnings.map(({ code }) => code)).toContain('detached_not_read');
});
