import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { boundsOf, created, ensure, runJson } from '../support/partitions.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let role: TestRole;
beforeAll(async () => {
  database = await createDatabase();
  role = await createRole(database, 'superuser');
  await database.sql.unsafe('create schema evil');
});
afterEach(async () => {
  await database.sql.unsafe(`drop table if exists t; alter database ${database.name} reset all;
    alter role ${role.name} reset all; alter role ${role.name} in database ${database.name} reset all`);
});
afterAll(async () => {
  await dropRoles(database.sql, [role]);
  await database.drop();
});

const TABLE = `create table t (at timestamptz not null, v int, primary key (at, v)) partition by range (at);
  create index on t (v); create table t_default partition of t default;
  insert into t values ('2026-05-01 00:00+00', 1), ('2026-04-30 23:59:59.999999+00', 2)`;

const EXPECTED = [
  ['t_2026_03', "FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00')"],
  ['t_2026_06', "FOR VALUES FROM ('2026-06-01 00:00:00+00') TO ('2026-07-01 00:00:00+00')"],
  ['t_default', 'DEFAULT'],
];

/** Runs ensure and list as the role, and expects the very bounds and rows that UTC and no settings give. */
async function expectUtc(env: Readonly<Record<string, string>> = {}): Promise<void> {
  const result = await ensure({ url: role.url }, ['-t', 't', '--months', '3'], { env });
  expect(result).toMatchObject({
    exitCode: 3,
    error: null,
    data: {
      created: ['t_2026_03', 't_2026_06'],
      conflicts: [
        { lower: '2026-04-01T00:00:00Z', rows: 1, earliest: '2026-04-30T23:59:59.999999Z' },
        { lower: '2026-05-01T00:00:00Z', rows: 1, latest: '2026-05-01T00:00:00Z' },
      ],
    },
  });
  expect(await boundsOf(database, 't')).toEqual(EXPECTED);
  const list = await runJson({ url: role.url }, ['partitions', 'list', '-t', 't'], { env });
  expect(list.data.partitions.map((one: { lower: string }) => one.lower)).toEqual([
    '2026-03-01T00:00:00Z',
    '2026-06-01T00:00:00Z',
    null,
  ]);
  expect(list.data.gaps).toEqual([{ lower: '2026-04-01T00:00:00Z', upper: '2026-06-01T00:00:00Z' }]);
}

describe('bounds are those of UTC', () => {
  it.each([
    ['timezone', "'America/New_York'"],
    ['timezone', "'Asia/Kathmandu'"],
    ['timezone', "'Pacific/Apia'"],
    ['datestyle', "'German'"],
    ['datestyle', "'SQL, DMY'"],
    ['datestyle', "'Postgres, DMY'"],
    ['intervalstyle', "'iso_8601'"],
    ['default_transaction_isolation', "'serializable'"],
    ['default_transaction_deferrable', 'on'],
    ['lc_messages', "'C'"],
    ['bytea_output', "'escape'"],
    ['standard_conforming_strings', 'off'],
    ['quote_all_identifiers', 'on'],
    ['extra_float_digits', '-15'],
    ['row_security', 'off'],
    ['enable_partition_pruning', 'off'],
    ['xmlbinary', "'hex'"],
    ['backslash_quote', "'on'"],
    ['client_encoding', "'LATIN1'"],
    ['default_with_oids', 'off'],
    ['array_nulls', 'off'],
    ['transform_null_equals', 'on'],
    ['check_function_bodies', 'off'],
    ['statement_timeout', "'60s'"],
    ['plan_cache_mode', "'force_generic_plan'"],
    ['default_toast_compression', "'pglz'"],
  ])('whatever the role sets %s to: %s', async (setting, value) => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set ${setting} to ${value}`);
    await expectUtc();
  });

  it('whatever the database sets', async () => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter database ${database.name} set timezone to 'Pacific/Apia'`);
    await expectUtc();
  });

  it('whatever PGTZ, PGDATESTYLE and PGOPTIONS say', async () => {
    await database.sql.unsafe(TABLE);
    await expectUtc({
      PGTZ: 'Asia/Kathmandu',
      PGDATESTYLE: 'German',
      PGOPTIONS: '-c timezone=Pacific/Apia -c datestyle=SQL,DMY -c standard_conforming_strings=off',
    });
  });
});

const EVIL = `
  create table if not exists evil.t (at timestamptz) partition by range (at);
  create or replace function evil.fooled() returns bool language plpgsql as
    $$ begin raise exception 'fooled'; end $$;
  ${[
    'text, text',
    'name, name',
    'name, text',
    'oid, oid',
    'int4, int4',
    'int2, int2',
    '"char", "char"',
    'bool, bool',
  ]
    .map((types) => {
      const [left, right] = types.split(', ');
      return `create or replace function evil.compare(${left}, ${right}) returns bool language sql as 'select evil.fooled()';
        create operator evil.= (leftarg = ${left}, rightarg = ${right}, function = evil.compare);
        create operator evil.<> (leftarg = ${left}, rightarg = ${right}, function = evil.compare);`;
    })
    .join('\n')}
  ${[
    'now() returns timestamptz',
    'clock_timestamp() returns timestamptz',
    'current_setting(text) returns text',
    'format(text, text) returns text',
    'format(text, name, name) returns text',
    'pg_get_expr(pg_node_tree, oid) returns text',
    'pg_get_expr(pg_node_tree, int4) returns text',
    'pg_get_indexdef(oid) returns text',
    'pg_total_relation_size(oid) returns bigint',
    'pg_try_advisory_lock(int4, int4) returns bool',
    'pg_advisory_unlock(int4, int4) returns bool',
    'pg_backend_pid() returns int4',
    'has_schema_privilege(oid, text) returns bool',
    'jsonb_array_elements_text(jsonb) returns setof text',
  ]
    .map(
      (signature) =>
        `create or replace function evil.${signature} language plpgsql as $$ begin raise exception 'fooled'; end $$;`,
    )
    .join('\n')}
  create type evil.timestamptz as enum ('fooled'); create type evil.int4 as enum ('fooled');
  create type evil.text as enum ('fooled'); create type evil.jsonb as enum ('fooled');
  create table evil.pg_class (oid int); create table evil.pg_inherits (oid int); create table evil.pg_locks (oid int)`;

describe('a search_path that puts somebody else’s objects first', () => {
  beforeAll(() => database.sql.unsafe(EVIL).then(() => {}));

  it.each(['evil, pg_catalog, public', 'evil, public, pg_catalog'])('%s fools nobody', async (path) => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set search_path to ${path}`);
    const result = await ensure({ url: role.url }, ['-t', 'public.t', '--months', '3']);
    expect(result).toMatchObject({ error: null, exitCode: 3, data: { created: ['t_2026_03', 't_2026_06'] } });
    expect(await boundsOf(database, 't')).toEqual(EXPECTED);
    const list = await runJson({ url: role.url }, ['partitions', 'list', '-t', 'public.t']);
    expect(list).toMatchObject({ exitCode: 0, data: { defaultRows: 2 } });
  });

  it('decides what a name without a schema means, and nothing else', async () => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set search_path to evil, public`);
    const result = await ensure({ url: role.url }, ['-t', 't', '--months', '0', '-n']);
    expect(result.data.table).toEqual({ schema: 'evil', name: 't' });
  });

  it('may be empty, and hides no table that is named in full', async () => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set search_path to ''`);
    expect(await ensure({ url: role.url }, ['-t', 't', '--months', '0'])).toMatchObject({
      exitCode: 2,
      error: { code: 'unknown_table', hint: expect.stringContaining('empty') },
    });
    expect(await created({ url: role.url }, ['-t', 'public.t', '--months', '0'])).toEqual(['t_2026_03']);
  });
});

describe('settings that forbid the work', () => {
  it('default_transaction_read_only is heeded: exit 1, nothing made', async () => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set default_transaction_read_only to on`);
    for (const more of [[], ['--dry-run']]) {
      const result = await ensure({ url: role.url }, ['-t', 't', '--months', '0', ...more]);
      expect(result).toMatchObject({
        exitCode: 1,
        changed: false,
        error: {
          code: 'read_only',
          sqlstate: '25006',
          hint: expect.stringContaining('default_transaction_read_only'),
        },
      });
    }
    expect(await boundsOf(database, 't')).toHaveLength(1);
    expect((await runJson({ url: role.url }, ['partitions', 'list', '-t', 't'])).exitCode).toBe(0);
  });

  it('statement_timeout ends a run with exit 1 and the server’s reason', async () => {
    await database.sql.unsafe(TABLE);
    await database.sql.unsafe(`alter role ${role.name} set statement_timeout to '300ms';
      create function slow() returns event_trigger language plpgsql as 'begin perform pg_sleep(5); end';
      create event trigger slow on ddl_command_start when tag in ('CREATE TABLE') execute function slow()`);
    const result = await ensure({ url: role.url }, ['-t', 't', '--months', '3']);
    await database.sql.unsafe('drop event trigger slow; drop function slow');
    expect(result).toMatchObject({
      exitCode: 1,
      changed: false,
      error: { sqlstate: '57014', message: expect.stringContaining('statement timeout') },
    });
  });
});
