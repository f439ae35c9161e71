import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensure, runJson, runText } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`
    create table t (at timestamptz not null) partition by range (at);
    create table t_old partition of t for values from ('2020-01-01+00') to ('2020-02-01+00');
    create table plain (at timestamptz);
    create view seen as select * from plain;
    create materialized view stored as select * from plain;
    create table hashed (at timestamptz) partition by hash (at);
    create table listed (at timestamptz) partition by list (at);
    create table twofold (at timestamptz, id int) partition by range (at, id);
    create table computed (at timestamp) partition by range (date_trunc('day', at));
    create table numbered (id int) partition by range (id);
    create table texts (at text) partition by range (at)`);
});
afterAll(() => database.drop());

const relations = () => database.sql`select count(*)::int as n from pg_class`;
const MONTH = ['--months', '1'];

describe('a table that does not suit', () => {
  it.each([
    ['nowhere', 'unknown_table', 'search_path'],
    ['public.nowhere', 'unknown_table', 'spelling'],
    ['other.t', 'unknown_table', 'spelling'],
    ['plain', 'not_partitioned', 'PARTITION BY RANGE'],
    ['seen', 'not_partitioned', 'PARTITION BY RANGE'],
    ['stored', 'not_partitioned', 'PARTITION BY RANGE'],
    ['t_old', 'not_partitioned', 'public.t'],
    ['hashed', 'not_range_partitioned', 'range'],
    ['listed', 'not_range_partitioned', 'range'],
    ['twofold', 'several_key_columns', 'one column'],
    ['computed', 'expression_key', 'plain column'],
    ['numbered', 'key_not_time', 'timestamptz'],
    ['texts', 'key_not_time', 'timestamptz'],
    ['a.b.c', 'bad_table_name', 'schema.table'],
    ['"x', 'bad_table_name', 'schema.table'],
    ['x"', 'bad_table_name', 'schema.table'],
    ['', 'bad_table_name', 'schema.table'],
    ['.t', 'bad_table_name', 'schema.table'],
    ['t.', 'bad_table_name', 'schema.table'],
    ["t'; drop table t; --", 'unknown_table', 'search_path'],
  ])('%s: %s', async (table, code, hint) => {
    const before = await relations();
    const result = await ensure(database, ['-t', table, ...MONTH]);
    expect(result).toMatchObject({
      exitCode: 2,
      ok: false,
      changed: false,
      data: {},
      command: 'partitions ensure',
      error: { code, hint: expect.stringContaining(hint), sqlstate: null },
    });
    expect(result.error?.object).toContain(table);
    const list = await runJson(database, ['partitions', 'list', '-t', table]);
    expect(list).toMatchObject({ exitCode: 2, error: { code } });
    const text = await runText(database, ['partitions', 'ensure', '-t', table, ...MONTH]);
    expect(text).toMatchObject({ exitCode: 2, stdout: '' });
    // Warnings, as that of the clock that this test sets, come before.
    expect(text.stderr).toMatch(/^(warning: .*\n)*error: .*\nhint: .*\n$/);
    expect(text.stderr).toContain(`error: ${result.error?.message}\nhint: ${result.error?.hint}\n`);
    expect(await relations()).toEqual(before);
  });
});

describe('a horizon that cannot be', () => {
  it.each([
    [['--months', '-1'], 'bad_number', '--months'],
    [['--months', 'abc'], 'bad_number', '--months'],
    [['--months', '1.5'], 'bad_number', '--months'],
    [['--months', ''], 'bad_number', '--months'],
    [['--months', '1e3'], 'bad_number', '--months'],
    [['--weeks', '0x10'], 'bad_number', '--weeks'],
    [['--days', '9999999999'], 'bad_number', '--days'],
    [['--months', '100000'], 'too_far', 'months'],
    [['--months', '999999999', '--interval', 'year'], 'too_far', 'months'],
    [['--days', '999999999', '--interval', 'year'], 'too_far', 'days'],
    [['--months', '95000'], 'too_many_leaves', '10000'],
    [['--days', '10000', '--interval', 'day'], 'too_many_leaves', '10000'],
    [['--until', '9999', '--interval', 'day'], 'too_many_leaves', '10000'],
    [['--until', '2026-03-14'], 'empty_range', '2026-03-14'],
    [['--until', '2026-03-15T12:34:56Z'], 'empty_range', 'Nothing'],
    [['--from', '2026-05', '--until', '2026-05'], 'empty_range', '2026-05-01'],
    [['--from', '2026-05-20', '--until', '2026-05-10'], 'empty_range', '2026-05-10'],
    [['--from', '2027', '--months', '1'], 'empty_range', '2027-01-01'],
    [['--until', '2026-02-30'], 'bad_date', '--until'],
    [['--until', 'tomorrow'], 'bad_date', '--until'],
    [['--until', '2026-13'], 'bad_date', '--until'],
    [['--until', 'infinity'], 'bad_date', '--until'],
    [['--until', '0000-01-01'], 'bad_date', '--until'],
    [['--until', '10000-01-01'], 'bad_date', '--until'],
    [['--from', '31.01.2026', '--months', '1'], 'bad_date', '--from'],
    [['--months', '1', '--days', '1'], 'horizon', 'one horizon'],
    [['--months', '1', '--until', '2027'], 'horizon', 'one horizon'],
    [[], 'horizon', 'one horizon'],
    [['--months', '1', '--interval', 'hour'], 'bad_interval', '--interval'],
    [['--months', '1', '--lock-timeout', '5'], 'bad_duration', '--lock-timeout'],
    [['--months', '1', '--lock-timeout', '0ms'], 'bad_duration', '--lock-timeout'],
    [['--months', '1', '--lock-timeout', '-1s'], 'bad_duration', '--lock-timeout'],
    [['--months', '1', '--wait', 'long'], 'bad_duration', '--wait'],
    [['--months', '1', '--wait', '1000d'], 'bad_duration', '--wait'],
  ])('%j: %s', async (words, code, said) => {
    const before = await relations();
    for (const more of [[], ['--dry-run']]) {
      const result = await ensure(database, ['-t', 't', ...words, ...more]);
      expect(result).toMatchObject({
        exitCode: 2,
        error: { code, message: expect.stringContaining(said) },
      });
    }
    expect(await relations()).toEqual(before);
  });

  it('is refused before anything is connected', async () => {
    const nowhere = { url: 'postgresql://127.0.0.1:1/nowhere' };
    expect(await ensure(nowhere, ['--months', 'abc'])).toMatchObject({ error: { code: 'bad_number' } });
    expect(await ensure(nowhere, ['--months', '1'])).toMatchObject({ exitCode: 4 });
  });

  it('10,000 leaves are the most, and no fewer', async () => {
    const words = ['-t', 't', '--interval', 'day', '--days'];
    const most = await ensure(database, [...words, '9999', '--dry-run']);
    expect(most.exitCode).toBe(0);
    expect(most.data.created).toHaveLength(10_000);
  });
});
