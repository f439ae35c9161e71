import type { Sql } from 'postgres';
import { expect } from 'vitest';
import type { Envelope } from './cli.ts';
import { connectTo } from './connect.ts';
import { runJson } from './partitions.ts';
import { startProxy } from './proxy.ts';
import { differences, readingsDatabase } from './recount.ts';
import { createRole, dropRoles, type TestRole } from './roles.ts';
import type { TestDatabase } from './server.ts';

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 2, 10, 12);

/** The leaf of all that is written around the gate. */
export const MARCH = 'sensors_sensorreading_2026_03';

/** A database whose gate stands at an hour that moves on from test to test. */
export interface GateScene {
  readonly database: TestDatabase;
  /** Has the rights of an application, and none on schema sensordb. */
  readonly role: TestRole;
  /** A session of that role. */
  readonly writer: () => Sql;
  /** Half past the hour that is so many hours after that at which the gate stands when a test begins. */
  readonly at: (hours: number) => string;
  /** The hour itself, as `cleanUntil` says it. */
  readonly hour: (hours: number) => string;
  /** Moves the gate on to an hour of the next test's own; ends what the one before left open. */
  readonly moveOn: () => Promise<void>;
  readonly drop: () => Promise<void>;
}

/** Makes the database, with a few readings in every hour. */
export async function gateScene(): Promise<GateScene> {
  const database = await readingsDatabase();
  const { sql } = database;
  const role = await createRole(database);
  await sql.unsafe(`
    insert into sensors_sensorreading (device_id, timestamp, value)
    select d, timestamptz '2026-03-10 10:00+00' + n * interval '20 minutes', n from generate_series(1, 3) d, generate_series(0, 400) n;
    grant select, insert, update, delete, truncate on all tables in schema public to ${role.name};
    grant usage on all sequences in schema public to ${role.name}`);
  let writers: Sql[] = [];
  let start = NOON_MS;
  const hour = (hours: number): string =>
    `${new Date(start + hours * HOUR_MS).toISOString().slice(0, 13)}:00:00Z`;
  const at = (hours: number): string => hour(hours).replace(':00:', ':30:');
  const end = async (): Promise<void> => {
    await Promise.all(writers.map((one) => one.end({ timeout: 1 })));
    writers = [];
    const prepared = await sql`select gid from pg_prepared_xacts where database = current_database()`;
    for (const { gid } of prepared) await sql.unsafe(`rollback prepared '${gid}'`);
  };
  return {
    database,
    role,
    writer: () => {
      const one = connectTo(role.url);
      writers.push(one);
      return one;
    },
    at,
    hour,
    moveOn: async () => {
      await end();
      start += 3 * HOUR_MS;
      await refreshAt(database, at(0));
      await expectExact(database);
    },
    drop: async () => {
      await end();
      await dropRoles(sql, [role]);
      await database.drop();
    },
  };
}

type Result = Promise<Envelope & { readonly exitCode: number }>;

/** Runs `aggregates refresh` at a time, which has to succeed; what it says of this machine's clock is left out. */
export async function refreshAt(database: Pick<TestDatabase, 'url'>, now: string): Result {
  const result = await runJson(database, ['aggregates', 'refresh'], { now });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return { ...result, warnings: result.warnings.filter(({ code }) => code !== 'clock_skew') };
}

/** The same, with something that happens once a statement has been answered that matches, before the run hears of it. */
export async function refreshWith(
  { url }: Pick<TestDatabase, 'url'>,
  now: string,
  matches: RegExp,
  happens: () => Promise<unknown>,
): Result {
  let done = false;
  const proxy = await startProxy(url, {
    after: async ({ text }) => {
      if (done || !matches.test(text)) return;
      done = true;
      await happens();
    },
  });
  const result = await refreshAt(proxy, now);
  await proxy.close();
  expect(done, String(matches)).toBe(true);
  return result;
}

/** Expects the aggregates to be what the readings say, to the last of them. */
export async function expectExact({ sql }: Pick<TestDatabase, 'sql'>): Promise<void> {
  expect([...(await differences(sql, 'sensors_sensoraggregate'))]).toEqual([]);
}
