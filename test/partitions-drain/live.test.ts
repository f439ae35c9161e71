import type { Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  // What the writers do to t they do to mirror, too, in the same transaction.
  await database.sql.unsafe(`create table t (id int not null, at timestamptz not null, v int, marked bool, primary key (id, at))
      partition by range (at);
    create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00');
    create table t_default partition of t default;
    create table mirror (like t including all)`);
});
afterEach(() => database.drop());

const DRAIN = ['partitions', 'drain', '-t', 't', '--batch-rows', '500', '--wait', '25s'];

async function fill(rows: number): Promise<void> {
  for (const table of ['t', 'mirror']) {
    await database.sql.unsafe(`insert into ${table}
      select g, timestamptz '2026-04-01+00' + (g % 60) * interval '1 day' + g * interval '1 second', 0, g % 3 = 0
        from generate_series(1, ${rows}) g`);
  }
}

/** What one writer does to a table, over and over; each writer has ids of its own. */
const WRITES = [
  (table: string, id: number, at: string) => `insert into ${table} values (${id}, '${at}', 1, false)`,
  (table: string, id: number) => `update ${table} set v = v + 1 where id = ${id}`,
  (table: string, id: number, at: string) =>
    `insert into ${table} values (${id}, '${at}', 1, false) on conflict (id, at) do update set v = ${table}.v + 10`,
  (table: string, id: number) => `update ${table} set at = at + interval '1 millisecond' where id = ${id}`,
  (table: string, id: number) => `delete from ${table} where id = ${id} and not marked`,
];

interface Writer {
  readonly stop: () => Promise<{ readonly writes: number; readonly failures: readonly string[] }>;
}

function startWriter(sql: Sql, parity: number, rows: number, pauseMs: number): Writer {
  let running = true;
  const failures: string[] = [];
  let writes = 0;
  const loop = (async () => {
    for (let round = 0; running; round += 1) {
      const day = 1 + ((round * 7) % 30);
      const at = `2026-0${4 + (round % 2)}-${String(day).padStart(2, '0')} 12:00+00`;
      const isNew = round % 5 === 0;
      const id = 2 * (isNew ? rows + round : (round * 37) % (rows / 2)) + parity;
      const write = WRITES[round % WRITES.length] as (typeof WRITES)[number];
      try {
        await sql.begin(async (transaction) => {
          await transaction.unsafe(write('t', id, at));
          await transaction.unsafe(write('mirror', id, at));
        });
        writes += 1;
      } catch (thrown) {
        failures.push(String(thrown));
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  })();
  return {
    stop: async () => {
      running = false;
      await loop;
      return { writes, failures };
    },
  };
}

/** Counts the marked rows over and over, by simple statements; gives every count that was not right. */
function startReader(sql: Sql, expected: number) {
  let running = true;
  const wrong: unknown[] = [];
  let reads = 0;
  const loop = (async () => {
    while (running) {
      const [row] = await sql.unsafe(
        'select count(*)::int as n, count(distinct id)::int as ids from t where marked',
      );
      reads += 1;
      if (row?.n !== expected || row?.ids !== expected) wrong.push({ ...row });
    }
  })();
  return {
    stop: async () => {
      running = false;
      await loop;
      return { reads, wrong };
    },
  };
}

async function difference(): Promise<unknown> {
  const [row] = await database.sql`select
    (select count(*) from (select * from mirror except all select * from t) missing)::int as missing,
    (select count(*) from (select * from t except all select * from mirror) surplus)::int as surplus`;
  return { ...row };
}

describe('drain while others write', () => {
  it.each([
    ['few rows', 1200, 0],
    ['many rows', 12_000, 5],
  ])(
    'keeps each of %s visible exactly once, and loses no write',
    { timeout: 90_000 },
    async (_, rows, pause) => {
      await fill(rows);
      const writers = [0, 1].map((parity) => startWriter(database.connect(), parity, rows, pause));
      const reader = startReader(database.connect(), Math.floor(rows / 3));
      const result = await runJson(database, DRAIN);
      const written = await Promise.all(writers.map((writer) => writer.stop()));
      const { reads, wrong } = await reader.stop();
      expect(result).toMatchObject({ exitCode: 0, error: null });
      expect(wrong).toEqual([]);
      expect(written.flatMap(({ failures }) => failures)).toEqual([]);
      expect(Math.min(reads, ...written.map(({ writes }) => writes))).toBeGreaterThan(5);
      expect(await difference()).toEqual({ missing: 0, surplus: 0 });
    },
  );
});
