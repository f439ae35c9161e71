import type { Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allTables } from '../support/leaf-facts.ts';
import { startProxy } from '../support/proxy.ts';
import { createReadings, drift, repair } from '../support/repair.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let template: TestDatabase;
let database: TestDatabase;
beforeAll(async () => {
  template = await createDatabase();
  await createReadings(template, 'pg_monitor');
  await template.leave();
});
beforeEach(async () => {
  database = await createDatabase({ template: template.name });
});
afterEach(() => database.drop());
afterAll(() => template.drop());

/** Opens a transaction that writes to a leaf. */
async function hold(sql: Sql, leaf: string, mode = 'row exclusive'): Promise<void> {
  await sql.unsafe(`begin; lock table ${leaf} in ${mode} mode; select pg_current_xact_id()`);
}

describe('beside somebody who holds a leaf', () => {
  it('mends the others, names him, and has not made anybody wait', async () => {
    await database.sql.unsafe(`alter table only readings replica identity full;
      create index readings_value on only readings (value)`);
    const reader = database.connect();
    const [{ pid } = { pid: 0 }] = await reader<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await reader.unsafe('begin; select from readings_2026_02');
    const result = await repair(database, ['--wait', '500ms']);
    expect(result.exitCode).toBe(5);
    expect(result.error?.message).toContain(`pid ${pid}`);
    expect(result.data.blocked).toEqual([
      { name: 'readings_2026_02', kind: 'replica_identity', what: 'replica identity' },
    ]);
    // An index is built beside readers.
    expect(result.data.mended).toHaveLength(7);
    await reader`commit`;
    expect(await repair(database)).toMatchObject({
      exitCode: 0,
      data: { mended: [{ name: 'readings_2026_02' }] },
    });
  });

  it('finds drift although he holds ACCESS EXCLUSIVE', async () => {
    await database.sql.unsafe(`alter table only readings replica identity full;
      create index readings_value on only readings (lower(note)) where value > 1;
      create index on readings_2026_01 (lower(note)) where value > 1;
      alter policy named on readings using (note in ('a', 'c'))`);
    const other = database.connect();
    await hold(other, 'readings_2026_01, readings_2026_02, readings_default', 'access exclusive');
    expect(await drift(database, ['--lock-timeout', '100ms', '--wait', '0s'])).toHaveLength(12);
    const result = await repair(database, ['--wait', '300ms']);
    expect(result.exitCode).toBe(5);
    expect(new Set(result.data.mended.map(({ name }: { name: string }) => name))).toEqual(
      new Set(['readings_2026_03']),
    );
    expect(result.data.blocked).toHaveLength(9);
    await other`commit`;
    expect(await repair(database)).toMatchObject({ exitCode: 0 });
    expect(await drift(database)).toEqual([]);
  });

  it('gives up an index that a writer keeps from being built, and builds it the next time', async () => {
    await database.sql.unsafe('create index readings_value on only readings (value)');
    const writer = database.connect();
    await hold(writer, 'readings_2026_02');
    const result = await repair(database, ['--wait', '500ms']);
    expect(result).toMatchObject({ exitCode: 5, error: { code: 'lock_budget_spent' } });
    // Whether the others were built before the time was spent is a matter of who was quicker.
    expect(result.data.blocked[0]).toMatchObject({ name: 'readings_2026_02' });
    await writer`commit`;
    expect(await repair(database)).toMatchObject({
      exitCode: 0,
      data: { mended: result.data.blocked },
    });
    expect(await drift(database)).toEqual([]);
    const [row] = await database.sql`select count(*)::int as n from pg_index where not indisvalid`;
    expect(row).toEqual({ n: 0 });
  });
});

it('begins no build that it could not wait for', async () => {
  await database.sql.unsafe('create index readings_value on only readings (value)');
  const reader = database.connect();
  await reader.unsafe('begin isolation level repeatable read; select from device');
  const result = await repair(database, ['--wait', '500ms']);
  expect(result.exitCode).toBe(5);
  expect(result.data.blocked).toHaveLength(4);
  const invalid =
    await database.sql`select from pg_index where not indisvalid and indrelid <> 'readings'::regclass`;
  expect(invalid).toHaveLength(1);
  await reader`commit`;
  expect((await repair(database)).data.mended).toHaveLength(4);
  expect(await drift(database)).toEqual([]);
});

describe('a role that may not', () => {
  let role: TestRole;
  beforeEach(async () => {
    role = await createRole(database);
    await database.sql.unsafe(`alter table readings_2026_02 replica identity full`);
  });
  afterEach(() => dropRoles(database.sql, [role]));

  it.each([
    ['own the leaf', () => '', 'does not own public.readings_2026_02'],
    [
      'give the leaf to its parent’s owner',
      () => `alter table readings_2026_02 owner to ${role.name}`,
      'cannot give public.readings_2026_02 to postgres',
    ],
    [
      'make an index in the schema',
      () => `alter table readings owner to ${role.name}; alter table readings_2026_02 owner to ${role.name};
        create index readings_value on only readings (value); revoke create on schema public from public;
        alter table readings_2026_01 owner to ${role.name}; alter table readings_2026_03 owner to ${role.name};
        alter table readings_default owner to ${role.name}`,
      'may not create in schema public',
    ],
  ])('%s: exit 1 before anything is changed', async (_what, happens, said) => {
    await database.sql.unsafe(`grant all on schema sensordb to ${role.name};
      grant all on all tables in schema sensordb to ${role.name}; ${happens()}`);
    const before = await allTables(database.sql);
    const { exitCode, changed, error } = await repair({ url: role.url });
    expect({ exitCode, changed, error }).toMatchObject({
      exitCode: 1,
      changed: false,
      error: { code: 'insufficient_privilege', sqlstate: '42501', message: expect.stringContaining(said) },
    });
    expect(error?.hint).toMatch(/GRANT/);
    expect(await allTables(database.sql)).toEqual(before);
    expect((await repair({ url: role.url }, ['--check'])).exitCode).toBe(3);
  });
});

it('builds no index where another schema stands before pg_catalog', async () => {
  await database.sql.unsafe(`create index readings_lower on only readings (lower(note));
    alter table only readings replica identity full`);
  const env = { PGOPTIONS: '-c search_path=public,pg_catalog' };
  const result = await repair(database, [], { env });
  expect(result).toMatchObject({ exitCode: 1, changed: false, error: { code: 'search_path' } });
  expect(await repair(database, ['--skip', 'indexes'], { env })).toMatchObject({
    exitCode: 0,
    changed: true,
  });
});

it('sends as many statements at 5 leaves as at 50 when only one drifts', async () => {
  const sent = [];
  for (const count of [5, 50]) {
    const { sql, url } = database;
    await sql.unsafe(`drop table if exists many;
      create table many (id int not null, at timestamptz not null, note text, primary key (id, at)) partition by range (at);
      do $$ begin
        for n in 1 .. ${count} loop
          execute format('create table many_%s partition of many for values from (%L) to (%L)', n,
            date '2026-01-01' + n, date '2026-01-01' + n + 1);
        end loop;
      end $$;
      create index many_note on many (note);
      create policy mine on many using (note = current_user);
      do $$ begin
        for n in 1 .. ${count} loop
          execute format('create policy mine on many_%s using (note = current_user)', n);
        end loop;
      end $$;
      alter table many_3 alter column note set statistics 9, owner to pg_monitor`);
    const proxy = await startProxy(url);
    const { exitCode, data } = await repair(proxy, ['-t', 'many']);
    await proxy.close();
    expect(exitCode).toBe(0);
    expect(data.mended).toHaveLength(2);
    // How often a wait looks around depends on who is there, such as autovacuum.
    sent.push(proxy.statements.filter((text) => !/pg_prepared_xacts/.test(text)).length);
  }
  expect(sent[0]).toBe(sent[1]);
});
