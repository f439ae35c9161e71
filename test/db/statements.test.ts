import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locate, normalizeSql, splitStatements } from '../../src/db/statements.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const split = (text: string) => splitStatements(text).map(({ sql }) => sql);
const ATOMIC = `create or replace function f(a int) returns int language sql
begin atomic select case when a > 1 then case a when 2 then 1 end end; select 3 as end; end`;

describe('splitStatements', () => {
  it.each([
    ['plain statements', 'select 1; select 2', ['select 1', 'select 2']],
    ['empty statements', ' ;; select 1;\n;-- nothing\n;', ['select 1']],
    ['a text of comments alone', '-- a\n/* b; */', []],
    [
      'comments before a statement',
      '-- a\nselect 1; /* b */ select 2 -- c',
      ['-- a\nselect 1', '/* b */ select 2 -- c'],
    ],
    [
      'comments with semicolons',
      'select 1 -- ;\n + /* ; /* ; */ ; */ 2; x',
      ['select 1 -- ;\n + /* ; /* ; */ ; */ 2', 'x'],
    ],
    [
      'quotes in comments',
      "select 1 -- it's\n; select 2 /* it's \" */; x",
      ["select 1 -- it's", 'select 2 /* it\'s " */', 'x'],
    ],
    ['strings', "select 'a;''b;'; x", ["select 'a;''b;'", 'x']],
    ['a backslash in a plain string', "select '\\'; x", ["select '\\'", 'x']],
    ['escape strings', "select E'\\';'; select e'\\\\'; x", ["select E'\\';'", "select e'\\\\'", 'x']],
    ['an escape string continued', "select E'a'\n'\\';'; x", ["select E'a'\n'\\';'", 'x']],
    ['a word that ends in e before a string', "select date'\\'; x", ["select date'\\'", 'x']],
    ['Unicode quotes', 'select U&\'\\\'; select U&"\\;"; x', ["select U&'\\'", 'select U&"\\;"', 'x']],
    ['other quotes', "select B'1', x'ff;', N';'; x", ["select B'1', x'ff;', N';'", 'x']],
    ['quoted identifiers', 'select "a;""b;"; x', ['select "a;""b;"', 'x']],
    ['dollar quotes', 'do $$ ; $$; do $é1$ $$;$x$; $é1$; x', ['do $$ ; $$', 'do $é1$ $$;$x$; $é1$', 'x']],
    ['dollars in names', 'select a$b$; select c$$; x', ['select a$b$', 'select c$$', 'x']],
    ['parameters', 'select $1; select $2$$;$$', ['select $1', 'select $2$$;$$']],
    [
      'parentheses',
      'create rule r as on insert to t do (select 1; select (2);); x',
      ['create rule r as on insert to t do (select 1; select (2);)', 'x'],
    ],
    ['a closing parenthesis too many', 'select 1); x', ['select 1)', 'x']],
    ['a begin atomic body', `${ATOMIC}; select 1`, [ATOMIC, 'select 1']],
    [
      'a procedure with a quoted name',
      'create procedure "p"() begin atomic select 1; end; x',
      ['create procedure "p"() begin atomic select 1; end', 'x'],
    ],
    [
      'begin outside a function',
      'begin; select case when true then 1 end; end; begin atomic; x',
      ['begin', 'select case when true then 1 end', 'end', 'begin atomic', 'x'],
    ],
    [
      'a function of the old kind',
      'create function begin() returns int as $$ begin; end $$; x',
      ['create function begin() returns int as $$ begin; end $$', 'x'],
    ],
    ['placeholders', `comment on table :"s;" is :'c;'; x`, [`comment on table :"s;" is :'c;'`, 'x']],
  ])('splits %s', (_, text, expected) => {
    expect(split(text)).toEqual(expected);
  });

  it('says where each statement stands, in the text without mark and carriage returns', () => {
    const text = '\ufeff-- head\r\n\r\nselect 1;\r\n  select\r\n2;\n/* a\n */ select 3';
    const statements = splitStatements(text);
    expect(statements.map(({ sql, line }) => [sql, line])).toEqual([
      ['-- head\n\nselect 1', 3],
      ['select\n2', 4],
      ['/* a\n */ select 3', 7],
    ]);
    for (const { sql, offset } of statements) {
      expect(normalizeSql(text).slice(offset, offset + sql.length)).toBe(sql);
    }
  });

  it.each([
    ['a psql command', 'select 1;\n\\d foo', 'f.sql:2: a backslash outside quotes is a command of psql'],
    ['the end of COPY data', 'copy t from stdin;\n1\n\\.\n', 'f.sql:3: a backslash'],
    ['an open string', "select 1,\n'", 'f.sql:2: the string that opens here never ends'],
    ['an open escape string', "select E'\\'", 'f.sql:1: the string'],
    ['an open identifier', 'select "', 'f.sql:1: the quoted identifier'],
    ['an open comment', '\n\n/* /* */', 'f.sql:3: the comment'],
    ['an open dollar quote', 'do $a$ $$', 'f.sql:1: the string $a$'],
    ['an open parenthesis', 'select 1;\nselect (1;', 'f.sql:2: the parenthesis'],
    ['an open body', `create function f()\nbegin atomic select 1;`, 'f.sql:2: the begin atomic body'],
  ])('refuses %s as a usage error that names file and line', (_, text, message) => {
    const splitting = () => splitStatements(text, 'f.sql');
    expect(splitting).toThrow(message);
    expect(splitting).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it('is not slowed down by a long file or a hostile one', () => {
    expect(splitStatements('insert into t values (1);\n'.repeat(50_000))).toHaveLength(50_000);
    expect(splitStatements(`select E'a'${' --x'.repeat(50_000)}`)).toHaveLength(1);
    expect(splitStatements(`select E'a'${'\n-- x'.repeat(50_000)}`)).toHaveLength(1);
  });
});

describe('locate', () => {
  it.each([
    ['the first character', 'abc', 1, 0, { line: 1, column: 1 }],
    ['a later line', 'ab\ncd', 5, 0, { line: 2, column: 2 }],
    ['a place after characters of two UTF-16 units', "select '😀😀', x", 14, 0, { line: 1, column: 14 }],
    ['a statement further down', '-- 😀\nselect 1;\nselect x', 8, 16, { line: 3, column: 8 }],
    ['the end of the text', 'ab\n', 4, 0, { line: 2, column: 1 }],
    ['a place beyond the text', 'ab', 99, 0, { line: 1, column: 3 }],
  ])('finds %s', (_, text, position, offset, expected) => {
    expect(locate(text, position, offset)).toEqual(expected);
  });
});

describe('statements on a real server', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase();
  });
  afterAll(() => database.drop());

  it('are accepted one by one', async () => {
    const text = `-- é😀\ncreate table t (a int); create table u (a int);
      create rule r as on insert to t do also (insert into u values (1); insert into u values (2));
      ${ATOMIC}; create procedure p() begin atomic insert into t values (1); insert into t values (2); end;
      call p(); select E'a'\n'\\';', U&'\\0061', U&"\\0061" from (select 1 as a) as x;`;
    const statements = splitStatements(text);
    expect(statements).toHaveLength(7);
    for (const { sql } of statements) await database.sql.unsafe(sql);
    expect(await database.sql`select a from u order by a`).toEqual([{ a: 1 }, { a: 1 }, { a: 2 }, { a: 2 }]);
  });

  it("have PostgreSQL's error positions turned into a place in the file", async () => {
    const text = "select 1;\n\n-- é😀\nselect '😀',\n  '😀', nowhere";
    const { sql, offset } = splitStatements(text)[1] ?? { sql: '', offset: 0 };
    const error = await database.sql.unsafe(sql).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: '42703' });
    const position = Number((error as { position: string }).position);
    expect(locate(text, position, offset)).toEqual({ line: 5, column: 8 });
  });
});
