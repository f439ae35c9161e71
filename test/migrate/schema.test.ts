import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Sql, TransactionSql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { quoteIdentifier } from '../../src/db/quote.ts';
import { splitStatements } from '../../src/db/statements.ts';
import { fillTemplate } from '../../src/db/template.ts';
import { migrationFiles, runMigrations } from '../support/migrations.ts';
import { dumpSchema } from '../support/schema-dump.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const DUMP_FILE = fileURLToPath(new URL('../../sql/schema.sql', import.meta.url));
const DUMP_HEAD = `-- Makes the migrated schema at once, in the first schema of the search_path: for reading and comparing.
-- Strongest lock: none on a table that exists already. May run in a transaction.
-- A test compares it with what the migrations make, and writes it anew when run with UPDATE_SCHEMA=1.

`;

let database: TestDatabase;

function useDatabase(): void {
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());
}

describe('the migrations', () => {
  useDatabase();

  it('make the schema of sql/schema.sql (UPDATE_SCHEMA=1 rewrites it)', async () => {
    await runMigrations(database.sql, 'public');
    const dump = DUMP_HEAD + (await dumpSchema(database.sql, 'public'));
    if (process.env.UPDATE_SCHEMA === '1') writeFileSync(DUMP_FILE, dump);
    expect(readFileSync(DUMP_FILE, 'utf8')).toBe(dump);
  });

  it('make the same schema under any name, whatever the search_path', async () => {
    const { sql } = database;
    await runMigrations(sql, 'public');
    const odd = `we.ird "schema' \\ %I`;
    await sql.unsafe(`create schema ${quoteIdentifier(odd)}`);
    const other = database.connect();
    await other.unsafe(`create schema hidden; set search_path = hidden`);
    await runMigrations(other, odd);
    expect(await dumpSchema(sql, odd)).toBe(await dumpSchema(sql, 'public'));
    expect(await objectsIn(sql, 'hidden')).toEqual([]);
  });

  it('leave nothing behind when taken back', async () => {
    await runMigrations(database.sql, 'public');
    expect(await objectsIn(database.sql, 'public')).toContain('table sensors_sensorreading_default');
    await runMigrations(database.sql, 'public', 'down');
    expect(await objectsIn(database.sql, 'public')).toEqual([]);
  });

  it('can be made, taken back with partitions and rows, and made again', async () => {
    const { sql } = database;
    await runMigrations(sql, 'public');
    const dump = await dumpSchema(sql, 'public');
    await sql`create table extra partition of sensors_sensorreading for values from ('2026-01-01') to ('2026-02-01')`;
    await insertReading(sql, '2026-01-15');
    await runMigrations(sql, 'public', 'down');
    await runMigrations(sql, 'public');
    expect(await dumpSchema(sql, 'public')).toBe(dump);
  });

  it.each(['up', 'down'] as const)(
    'take the locks that their heads name, on the way %s',
    async (direction) => {
      const { sql } = database;
      if (direction === 'down') await runMigrations(sql, 'public');
      for (const { file, text } of migrationFiles(direction)) {
        const tables = await tableNames(sql);
        const head = text.slice(0, text.indexOf('Runs in'));
        const locks = await sql.begin(async (transaction) => {
          await transaction.unsafe(fillTemplate(text, { schema: 'public' }, { file }));
          return strongestLock(transaction, tables);
        });
        expect(head).toContain(`Strongest lock: ${locks.mode ?? 'none on a table that exists already'}`);
        const named = [...tables.values()].filter((table) =>
          new RegExp(`\\b${table}\\b`).test(head.split('Strongest lock')[1] ?? ''),
        );
        expect(locks.tables).toEqual(named.sort());
      }
    },
  );
});

describe('the files of the migrations', () => {
  it.each(migrationFiles('up'))('have a down file for $file', ({ file }) => {
    const downs = migrationFiles('down').map((down) => down.file);
    expect(downs).toContain(file.replace(/\.sql$/, '.down.sql'));
    expect(downs).toHaveLength(migrationFiles('up').length);
  });

  it.each([...migrationFiles('up'), ...migrationFiles('down')])(
    'say in the head of $file what it does, its lock and its transaction',
    ({ text }) => {
      const head = /^(?:-- .*\n)+/.exec(text)?.[0] ?? '';
      expect(head).toMatch(/^-- (Creates|Drops) /);
      expect(head).toMatch(/Strongest lock: /);
      expect(head).toMatch(/Runs in a transaction\./);
      // The bodies of functions have a begin of their own.
      expect(text.replaceAll(/\$\$.*?\$\$/gs, '')).not.toMatch(/\bcascade\b|\bbegin\b|\bcommit\b/i);
    },
  );
});

describe('sql/schema.sql', () => {
  useDatabase();

  it('makes the schema that it describes', async () => {
    const text = readFileSync(DUMP_FILE, 'utf8');
    for (const { sql } of splitStatements(text)) await database.sql.unsafe(sql);
    expect(DUMP_HEAD + (await dumpSchema(database.sql, 'public'))).toBe(text);
  });
});

describe('the schema dump', () => {
  useDatabase();

  it.each([
    ['a column', 'alter table orders_order add note text'],
    ['a default', 'alter table orders_order alter status drop default'],
    ['a nullable column', 'alter table orders_order alter status drop not null'],
    ['a constraint', 'alter table orders_payment drop constraint orders_payment_amount_check'],
    ['an index', 'drop index reading_timestamp_brin_idx'],
    [
      'an index option',
      `drop index reading_timestamp_brin_idx;
       create index reading_timestamp_brin_idx on sensors_sensorreading using brin (timestamp)`,
    ],
    ['a partition', 'alter table sensors_sensorreading detach partition sensors_sensorreading_default'],
    ['a comment', 'comment on column orders_order.number is null'],
    ['a storage option', 'alter table orders_order set (fillfactor = 70)'],
    ['a sequence option', 'alter sequence sensors_sensorreading_id_seq cache 100'],
    ['a view', 'drop view sensors_sensoraggregate_daily'],
    ['a function', 'alter function sensors_moments_scaled stable'],
    ['a setting of a function', `alter function sensors_moments_scaled set search_path to 'x'`],
    ['an aggregate', 'drop aggregate sensors_moments(double precision)'],
  ])('shows a change of %s', async (_, change) => {
    await runMigrations(database.sql, 'public');
    const before = await dumpSchema(database.sql, 'public');
    await database.sql.unsafe(change);
    expect(await dumpSchema(database.sql, 'public')).not.toBe(before);
  });

  it.each([
    ['create materialized view v as select 1 as a', 'materialized view v'],
    ['create view v with (security_barrier) as select 1 as a', 'view v'],
    ["create type mood as enum ('a')", 'type mood'],
    [
      'create table t (a int) partition by list (a); create table t1 partition of t default; create index i on only t (a)',
      'index i',
    ],
    ['create procedure f() language sql as $$select 1$$', 'function f()'],
    ['create function f() returns int language sql return 1', 'function f()'],
  ])('refuses what it cannot describe: %s', async (make, object) => {
    await database.sql.unsafe(make);
    await expect(dumpSchema(database.sql, 'public')).rejects.toThrow(`cannot describe ${object}`);
  });
});

async function objectsIn(sql: Sql, schema: string): Promise<readonly string[]> {
  const rows = await sql<{ object: string }[]>`
    select pg_describe_object(d.classid, d.objid, 0) as object from pg_depend d
      where d.refclassid = 'pg_namespace'::regclass and d.refobjid = ${quoteIdentifier(schema)}::regnamespace`;
  return rows.map(({ object }) => object);
}

async function insertReading(sql: Sql, timestamp: string): Promise<void> {
  await sql`with device as (
      insert into sensors_device (name, serial_number) values ('d', 's') returning id
    ) insert into sensors_sensorreading (device_id, timestamp, value) select id, ${timestamp}, 1 from device`;
}

// Partitions go by their parent's name: the heads say "its partitions".
async function tableNames(sql: Sql): Promise<ReadonlyMap<number, string>> {
  const rows = await sql<{ oid: number; name: string }[]>`
    select oid, relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`;
  return new Map(rows.map(({ oid, name }) => [oid, name]));
}

const MODES = ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'];

async function strongestLock(sql: TransactionSql, tables: ReadonlyMap<number, string>) {
  const rows = await sql<{ relation: number; mode: string }[]>`
    select relation, mode from pg_locks where locktype = 'relation' and pid = pg_backend_pid()`;
  const held = rows.filter(({ relation, mode }) => tables.has(relation) && MODES.includes(mode));
  const strongest = MODES.filter((mode) => held.some((lock) => lock.mode === mode)).at(-1);
  const names = held
    .filter(({ mode }) => mode === strongest)
    .map(({ relation }) => tables.get(relation) ?? '');
  return { mode: MODE_NAMES[strongest ?? ''], tables: names.sort() };
}

// pg_locks spells modes as the source does, LOCK TABLE and the heads as the manual does.
const MODE_NAMES: Readonly<Record<string, string>> = {
  ShareLock: 'SHARE',
  ShareRowExclusiveLock: 'SHARE ROW EXCLUSIVE',
  ExclusiveLock: 'EXCLUSIVE',
  AccessExclusiveLock: 'ACCESS EXCLUSIVE',
};
