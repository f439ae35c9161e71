import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundsOf, runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

function drain(words: readonly string[] = []) {
  return runJson(database, ['partitions', 'drain', '-t', 't', ...words]);
}

/** Keeps what the table holds, and gives what is missing of it and what is too much by now. */
async function keep(table = 't') {
  await database.sql.unsafe(`create table kept as select * from ${table}`);
  return async () => {
    const [row] = await database.sql.unsafe(`select
      (select count(*) from (select * from kept except all select * from ${table}) missing)::int as missing,
      (select count(*) from (select * from ${table} except all select * from kept) surplus)::int as surplus`);
    return row;
  };
}
const SAME = { missing: 0, surplus: 0 };

const TABLE = `create table t (id int not null, at timestamptz not null, v text, primary key (id, at)) partition by range (at);
  create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00');
  create table t_default partition of t default;`;

describe('drain', () => {
  it('gives the rows of DEFAULT leaves of their own, and loses none', async () => {
    const { sql } = database;
    await sql.unsafe(`${TABLE} create index on t (v);
      insert into t select g, timestamptz '2026-03-20+00' + g * interval '7 hours', repeat('x', g % 50) from generate_series(1, 400) g`);
    const difference = await keep();
    const result = await drain();
    expect(result).toMatchObject({ exitCode: 0, changed: true, error: null });
    expect(result.data.drained).toEqual([
      { name: 't_2026_04', lower: '2026-04-01T00:00:00Z', upper: '2026-05-01T00:00:00Z', rows: 102 },
      { name: 't_2026_05', lower: '2026-05-01T00:00:00Z', upper: '2026-06-01T00:00:00Z', rows: 107 },
      { name: 't_2026_06', lower: '2026-06-01T00:00:00Z', upper: '2026-07-01T00:00:00Z', rows: 103 },
      {
        name: 't_2026_07',
        lower: '2026-07-01T00:00:00Z',
        upper: '2026-08-01T00:00:00Z',
        rows: expect.any(Number),
      },
    ]);
    expect(await difference()).toEqual(SAME);
    expect(await sql`select count(*)::int as n from only t_default`).toEqual([{ n: 0 }]);
    expect(await boundsOf(database, 't')).toHaveLength(6);
    expect(await drain()).toMatchObject({
      exitCode: 0,
      changed: false,
      data: { drained: [], defaultRows: 0 },
    });
    expect(await sql`select count(*)::int as n from sensordb.drain_row`).toEqual([{ n: 0 }]);
  });
});
