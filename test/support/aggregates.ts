import { expect } from 'vitest';
import type { Envelope } from './cli.ts';
import { liveDatabase, NOW } from './live.ts';
import { runJson } from './partitions.ts';
import type { TestDatabase } from './server.ts';

/** Readings of three devices, each a quarter of an hour from 1 March on, for three days. */
const READINGS = `insert into sensors_device (name, serial_number) values ('pump', 'p-1'), ('valve', 'v-1');
  insert into sensors_sensorreading (device_id, timestamp, value)
  select d, timestamptz '2026-03-01+00' + i * interval '15 minutes', d * 10 + sin(i) * 3.3
    from generate_series(1, 3) d, generate_series(0, 4 * 24 * 3 - 1) i`;

/** How many device-hours `aggregatedDatabase` has. */
export const DEVICE_HOURS = 3 * 24 * 3;

/** Makes a database whose readings are aggregated: three devices, three days. */
export async function aggregatedDatabase(server?: string): Promise<TestDatabase> {
  const database = await liveDatabase(server);
  await database.sql.unsafe(READINGS);
  await refresh(database);
  return database;
}

/** Runs `aggregates refresh`, which has to succeed. */
export async function refresh(
  database: Pick<TestDatabase, 'url'>,
  now = NOW,
): Promise<Envelope & { readonly exitCode: number }> {
  const result = await runJson(database, ['aggregates', 'refresh'], { now });
  expect(result).toMatchObject({ exitCode: 0, error: null });
  return result;
}

/** Runs `aggregates verify` with the given words. */
export async function verify(
  database: Pick<TestDatabase, 'url'>,
  words: readonly string[] = [],
): Promise<Envelope & { readonly exitCode: number }> {
  return await runJson(database, ['aggregates', 'verify', ...words], { now: NOW });
}

/** Runs `aggregates status` with the given words. */
export async function status(
  database: Pick<TestDatabase, 'url'>,
  words: readonly string[] = [],
  now = NOW,
): Promise<Envelope & { readonly exitCode: number }> {
  return await runJson(database, ['aggregates', 'status', ...words], { now });
}
