import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, ensure, runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ odd: true });
});
afterAll(() => database.drop());

const id = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const ODD: readonly (readonly [string, string])[] = [
  ['mixed case', 'MixedCase'],
  ['spaces', ' odd name '],
  ['double quotes', 'a"b""c'],
  ['single quotes', "it's"],
  ['backslashes', "a\\b\\'c"],
  ['dots', 'a.b.c'],
  ['other alphabets', 'Žluťoučký_кůň'],
  ['emoji', '🚀🚀'],
  ['63 bytes of ASCII', 'x'.repeat(63)],
  ['63 bytes of three-byte characters', '時'.repeat(21)],
  ['placeholders', `:"leaf" :'lower'`],
  ['a dollar quote and a comment', '$$ -- /*'],
  ['a line end', 'a\nb;\n\\! x'],
  ['a keyword', 'table'],
  ['percent signs', '%I %s'],
];

describe('names with', () => {
  it.each(ODD)('%s work for schema, table, key, columns, indexes and comments', async (_, name) => {
    const { sql } = database;
    const [schema, table] = [id(name), `${id(name)}.${id(name)}`];
    await sql.unsafe(`create schema ${schema};
      create table ${table} (${id(name)} timestamptz not null, v int, constraint ${id(name)} check (v > 0))
        partition by range (${id(name)});
      create index ${id(`i${name}`.slice(0, 20))} on ${table} (${id(name)}, v);
      alter table ${table} add primary key (${id(name)}, v);
      create table ${schema}."default" partition of ${table} default;
      insert into ${table} values ('2026-04-03+00', 1)`);
    await sql.unsafe(`comment on table ${table} is '${name.replaceAll("'", "''")}'`);
    const dry = await runText(database, ['partitions', 'ensure', '-t', table, '--months', '1', '-n']);
    expect(dry.exitCode).toBe(3);
    const result = await ensure(database, ['-t', table, '--months', '1']);
    expect(result).toMatchObject({ exitCode: 3, error: null, data: { table: { schema: name, name } } });
    const [leaf] = result.data.created as string[];
    expect(leaf).toMatch(/_2026_03$/);
    expect(Buffer.byteLength(leaf as string)).toBeLessThanOrEqual(63);
    await sql.unsafe(`insert into ${table} values ('2026-03-03+00', 1)`);
    expect(await sql.unsafe(`select count(*)::int as n from ${schema}.${id(leaf as string)}`)).toEqual([
      { n: 1 },
    ]);
    const list = await runJson(database, ['partitions', 'list', '-t', table]);
    expect(list.data.partitions.map((one: { name: string }) => one.name)).toEqual([leaf, 'default']);
    expect(await ensure(database, ['-t', table, '--months', '0'])).toMatchObject({
      exitCode: 0,
      changed: false,
    });
  });
});

describe('long names', () => {
  it('of two tables that differ in their last byte alone give each its own leaves', async () => {
    const [one, two] = [`${'y'.repeat(62)}1`, `${'y'.repeat(62)}2`];
    const names: string[] = [];
    for (const table of [one, two]) {
      await database.sql.unsafe(`create table ${table} (at timestamptz not null, v int, primary key (at, v))
        partition by range (at); create index on ${table} (v)`);
      names.push(...(await created(database, ['-t', table, '--months', '11'])));
    }
    expect(new Set(names).size).toBe(24);
    expect(names.every((name) => Buffer.byteLength(name) <= 63)).toBe(true);
  });

  it('of columns leave every index its own name', async () => {
    const long = (letter: string): string => letter.repeat(60);
    const columns = ['a', 'b', 'é', '時'].map((letter) =>
      [...long(letter)].slice(0, letter > 'z' ? 20 : 60).join(''),
    );
    const table = `long ${'z'.repeat(50)}`;
    await database.sql.unsafe(`create table ${id(table)} (at timestamptz not null,
      ${columns.map((column) => `${id(column)} int`).join(', ')}) partition by range (at)`);
    for (const first of columns) {
      for (const second of columns) {
        await database.sql.unsafe(`create index on ${id(table)} (${id(first)}, (${id(second)} + 1), at)`);
        await database.sql.unsafe(`create unique index on ${id(table)} (${id(first)}, ${id(second)}, at)`);
      }
    }
    const leaves = await created(database, ['-t', id(table), '--months', '2']);
    const [row] = await database.sql<{ indexes: number }[]>`
      select count(*)::int as indexes from pg_index x join pg_class c on c.oid = x.indrelid
        join pg_inherits h on h.inhrelid = x.indexrelid where c.relname in ${database.sql([...leaves])}`;
    expect(row?.indexes).toBe(3 * 32);
  });
});

describe('--table', () => {
  beforeAll(async () => {
    await database.sql.unsafe(`create schema "MyApp"; create schema first;
      create table "MyApp"."Reading" (at timestamptz not null) partition by range (at);
      create table "user" (at timestamptz not null) partition by range (at);
      create table "Shout" (at timestamptz not null) partition by range (at);
      create table shout (at date not null) partition by range (at);
      create table stamped ("timestamp" timestamptz not null) partition by range ("timestamp")`);
  });

  it.each([
    ['MyApp.Reading', 'MyApp', 'Reading'],
    ['"MyApp"."Reading"', 'MyApp', 'Reading'],
    ['user', 'public', 'user'],
    ['USER', 'public', 'user'],
    ['Shout', 'public', 'shout'],
    ['"Shout"', 'public', 'Shout'],
    ['Public.stamped', 'public', 'stamped'],
  ])('%s is read as SQL would, then to the letter', async (text, schema, name) => {
    const result = await ensure(database, ['-t', text, '--months', '0', '-n']);
    expect(result).toMatchObject({ exitCode: 0, data: { table: { schema, name } } });
  });

  it('without a schema is looked for in the search_path, in its order', async () => {
    await database.sql.unsafe(`create table first.shout (at timestamptz not null) partition by range (at)`);
    const PGOPTIONS = '-c search_path=nowhere,first,public';
    const result = await ensure(database, ['-t', 'shout', '--months', '0', '-n'], { env: { PGOPTIONS } });
    expect(result.data.table).toEqual({ schema: 'first', name: 'shout' });
  });
});
