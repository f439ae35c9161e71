import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillTemplate } from '../../src/db/template.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const fill = (text: string, values: Record<string, string>) => fillTemplate(text, values, { file: 'a.sql' });

describe('fillTemplate', () => {
  it.each([
    ['an identifier', 'drop table :"schema".:"table"', 'drop table public."order"'],
    ['a literal', "select :'schema'", "select 'public'"],
    ['the same name twice', `:"table" :'table' :"table"`, `"order" 'order' "order"`],
    ['a cast of a placeholder', "select :'schema'::text", "select 'public'::text"],
    ['a placeholder in brackets', "select a[:'schema']", "select a['public']"],
    ['a named argument', "f(a:=:'schema')", "f(a:='public')"],
    ['a word before a literal', "select:'schema'", "select 'public'"],
    ['a word that would make an escape string', "E:'schema'", "E 'public'"],
    ['identifiers that touch', ':"table":"table"', '"order" "order"'],
    ['a word after an identifier', ':"schema"x', 'public x'],
    ['text after an E string', `E'\\'':'schema'`, `E'\\'' 'public'`],
    ['text after a closed comment', `/* a /* b */ ' */:"schema"`, `/* a /* b */ ' */public`],
    ['text after a line comment', `-- it's\n:"schema"`, `-- it's\npublic`],
    ['text after a word with dollars', 'a$b$:"schema"', 'a$b$ public'],
  ])('fills in %s', (_, text, expected) => {
    const values: Record<string, string> = {};
    if (/["']schema/.test(text)) values.schema = 'public';
    if (/["']table/.test(text)) values.table = 'order';
    expect(fill(text, values)).toBe(expected);
  });

  it.each([
    ['a line comment', '-- :"x"'],
    ['a nested comment', `/* /* :"x" */ :'x' */`],
    ['a string', `':"x" it''s :''x'''`],
    ['an escape string', `E'\\' :"x"'`],
    ['an escape string continued on the next line', `E'a' -- c\n  '\\' :"x"'`],
    ['a quoted identifier', `"a:""x""" "b :'x'"`],
    ['a Unicode string and identifier', `U&'\\' || U&"\\:'x'"`],
    ['a dollar quote', '$$ :"x" $$ $a$ $b$ :"x" $a$'],
    ['a cast', 'select a::"char", b::text, c :: "x"'],
    ['an array slice', 'select a[1:2], a[lo:hi], a[:2]'],
    ['a named argument', 'f(a := "x", b:="x")'],
    ['a plain psql variable', 'select :x, :{?x}'],
    ['a spaced colon', `a[1 : "x"]`],
  ])('replaces nothing in %s', (_, text) => {
    expect(fill(text, {})).toBe(text);
  });

  it.each([
    ['a name without a value', 'select :"constructor"', {}, /a\.sql uses :"constructor"/],
    ['a value without a placeholder', 'select 1 -- :"x"', { x: '1' }, /a\.sql has no placeholder for x\./],
    ['an open string', `select '`, {}, /a\.sql leaves a string open/],
  ])('fails on %s, naming file and name', (_, text, values, message) => {
    const filling = () => fill(text, values);
    expect(filling).toThrow(message);
    expect(filling).toThrow(
      expect.objectContaining({ facts: expect.objectContaining({ code: 'template' }) }),
    );
  });

  it('refuses a NUL character, at which the server would stop reading', () => {
    expect(() => fill(`select :'x'`, { x: 'a\0b' })).toThrow(/NUL/);
    expect(() => fill(`select :"x"`, { x: 'a\0b' })).toThrow(/NUL/);
  });
});

const ODD = [
  '',
  "it's",
  "''",
  '\\',
  "\\'; drop table x; --",
  'a\\nb\nc\r\nd\te',
  '"quoted" "" name',
  '😀 é 漢字 \u00a0 \u202e',
  '$$ $a$ /* -- ;',
  ':"x" :\'x\' %s %I $1 $x {{x}}',
  'select',
  'MixedCase',
  'null',
  ' leading and trailing ',
];

describe('a filled template on a real server', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it.each(ODD)('gives back the literal %j unchanged', async (value) => {
    for (const mode of ['on', 'off']) {
      await database.sql.begin(async (sql) => {
        await sql.unsafe(
          `set local standard_conforming_strings = ${mode}; set local escape_string_warning = off`,
        );
        const [row] = await sql.unsafe(fill(`select:'x' as v`, { x: value }));
        expect(row).toEqual({ v: value });
      });
    }
  });

  // Zero-length names are refused by PostgreSQL (42601) and longer ones than 63 bytes cut.
  it.each(ODD.filter((name) => name !== ''))('gives back the identifier %j unchanged', async (name) => {
    const [row] = await database.sql.unsafe(fill('select 1 as:"x"', { x: name }));
    expect(row).toEqual({ [name]: 1 });
  });
});
