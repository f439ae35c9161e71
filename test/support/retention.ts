import { expect } from 'vitest';
import type { Envelope } from './cli.ts';
import { NOW } from './live.ts';
import { runMigrations } from './migrations.ts';
import { runJson } from './partitions.ts';
import { type PassingStatement, startProxy } from './proxy.ts';
import { differences } from './recount.ts';
import { createDatabase, type TestDatabase } from './server.ts';

/** A leaf that retention asks for first: its month is over. */
export const JANUARY = 'sensors_sensorreading_2026_01';
/** The next one. */
export const FEBRUARY = 'sensors_sensorreading_2026_02';

/** Makes a statement that inserts a reading, through the table or into another relation. */
export const late = (at: string, into = 'sensors_sensorreading', value = 4): string =>
  `insert into ${into} (device_id, timestamp, value) values (1, '${at}+00', ${value})`;

interface RetentionOptions {
  /** Without DEFAULT leaves are detached CONCURRENTLY. */
  readonly default?: boolean;
  /** When the aggregates are brought up to date for the first time; null: never. */
  readonly refreshedAt?: string | null;
}

/** Makes a database with leaves from January to March 2026, two devices, and six hours of readings in each month. */
export async function retentionDatabase(options: RetentionOptions = {}): Promise<TestDatabase> {
  const database = await createDatabase();
  const { sql } = database;
  await runMigrations(sql, 'public');
  if (options.default !== true) await sql`drop table sensors_sensorreading_default`;
  await sql`insert into sensors_device (name, serial_number) values ('boiler', 'b-1'), ('pump', 'p-1')`;
  for (const month of [1, 2, 3]) {
    await sql.unsafe(`create table sensors_sensorreading_2026_0${month} partition of sensors_sensorreading
        for values from ('2026-0${month}-01+00') to ('2026-0${month + 1}-01+00');
      insert into sensors_sensorreading (device_id, timestamp, value)
      select d, timestamptz '2026-0${month}-05+00' + n * interval '20 minutes', n / 8.0
        from generate_series(1, 2) d, generate_series(0, 17) n`);
  }
  const at = options.refreshedAt === undefined ? NOW : options.refreshedAt;
  if (at !== null) await refreshed(database, at);
  return database;
}

type Result = Promise<Envelope & { readonly exitCode: number }>;

/** Runs `aggregates refresh`, which has to succeed. */
export async function refreshed(database: Pick<TestDatabase, 'url'>, now = NOW): Result {
  const result = await runJson(database, ['aggregates', 'refresh'], { now });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return result;
}

/** Runs a verb of `partitions`. */
export const partitions = (database: Pick<TestDatabase, 'url'>, verb: string, ...words: string[]): Result =>
  runJson(database, ['partitions', verb, ...words], { now: NOW });

/** Runs a verb of `partitions` with something that happens before the first statement that matches is sent. */
export async function partitionsWith(
  { url }: TestDatabase,
  words: readonly string[],
  at: RegExp,
  happens: (statement: PassingStatement) => Promise<unknown>,
): Result {
  let done = false;
  const proxy = await startProxy(url, {
    before: async (statement) => {
      if (done || !at.test(statement.text)) return;
      done = true;
      await happens(statement);
    },
  });
  const result = await runJson(proxy, words[0] === 'aggregates' ? words : ['partitions', ...words], {
    now: NOW,
  });
  await proxy.close();
  expect(done).toBe(true);
  return result;
}

/** Makes sure that the stored aggregates are what the readings in the table come to, where a condition on device_id and hour holds. */
export async function expectExact({ sql }: TestDatabase, where = 'true'): Promise<void> {
  expect([...(await differences(sql, 'sensors_sensoraggregate', where))]).toEqual([]);
}

/** The aggregates of a month, as they are stored: what is never to be touched again must stay equal, `id` and all. */
export async function storedOf({ sql }: TestDatabase, month: string): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select a::text as line from sensors_sensoraggregate a
     where to_char(a.hour at time zone 'UTC', 'YYYY-MM') = ${month} order by a.device_id, a.hour`;
  return rows.map(({ line }) => line);
}

/** What a refusal for aggregates looks like. */
export const NOT_AGGREGATED = {
  exitCode: 6,
  changed: false,
  error: { code: 'not_aggregated', hint: expect.stringContaining('sensordb aggregates refresh') },
};
