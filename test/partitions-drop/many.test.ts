import { afterEach, beforeEach, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
});
afterEach(() => database.drop());

/** Makes daily leaves that end with yesterday, and one for today; the clock is that of runJson, 2026-03-15. */
async function makeDays(count: number): Promise<void> {
  // In pieces: each transaction holds a lock for each table that it makes.
  for (let first = count; first >= 0; first -= 500) {
    await database.sql.unsafe(`do $$ begin
      for day in reverse ${first}..${Math.max(0, first - 499)} loop
        execute format('create table t_%s partition of t for values from (%L) to (%L)', day,
          timestamptz '2026-03-15Z' - day * interval '24 hours', timestamptz '2026-03-16Z' - day * interval '24 hours');
      end loop; end $$`);
  }
}

const DROP = ['partitions', 'drop', '-t', 't', '--yes'];

it('drops a thousand leaves at default settings', { timeout: 180_000 }, async () => {
  await makeDays(1000);
  const { exitCode, data, error } = await runJson(database, [...DROP, '--older-than', '1d']);
  expect({ exitCode, error, count: data.dropped.length }).toEqual({ exitCode: 0, error: null, count: 999 });
  expect(await database.sql`select count(*)::int4 from pg_inherits where inhparent = 't'::regclass`).toEqual([
    { count: 2 },
  ]);
});

it('sends as many statements on a table of many leaves as on one of few', async () => {
  const counts: number[] = [];
  for (const days of [3, 300]) {
    await database.sql.unsafe(
      'drop table t; create table t (at timestamptz not null) partition by range (at)',
    );
    await makeDays(days);
    const proxy = await startProxy(database.url);
    const url = { url: proxy.url };
    await runJson(url, [...DROP, 't_2']);
    counts.push(proxy.statements.length);
    await runJson(url, [...DROP, 't_3']);
    counts.push(proxy.statements.length);
    await proxy.close();
  }
  const [first, second, third, fourth] = counts as [number, number, number, number];
  // The first run of all makes sensordb's own tables.
  expect(second - first).toBe(fourth - third);
  expect(third).toBeLessThan(first);
});
