import { afterEach, expect, it } from 'vitest';
import {
  expectExact,
  FEBRUARY,
  JANUARY,
  partitions,
  partitionsWith,
  refreshed,
  retentionDatabase,
  storedOf,
} from '../support/retention.ts';
import type { TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const DETACH = `alter table sensors_sensorreading detach partition ${JANUARY} concurrently`;

/** Begins DETACH CONCURRENTLY in a session of its own, and returns once the leaf is not seen through the table any more. */
async function beginDetach() {
  const ended = database.connect().unsafe(DETACH);
  ended.catch(() => {});
  await until(async () => {
    const [row] =
      await database.sql`select inhdetachpending as pending from pg_inherits where inhrelid = ${JANUARY}::regclass`;
    return row?.pending === true;
  });
  return { ended };
}

it('a leaf whose DETACH CONCURRENTLY waits for a reader keeps its aggregates', async () => {
  database = await retentionDatabase();
  const stored = await storedOf(database, '2026-01');
  const reader = database.connect();
  await reader.unsafe('begin; select from sensors_sensorreading');
  const { ended } = await beginDetach();
  await database.sql.unsafe(`update ${FEBRUARY} set value = value + 1`);
  await refreshed(database);
  await refreshed(database, '2026-03-10T15:00:00Z');
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  await reader.unsafe('commit');
  await ended;
  await refreshed(database, '2026-03-10T16:00:00Z');
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  await expectExact(database, "hour >= '2026-02-01+00'");
});

it.each([
  ['a range is counted', `vacuum full ${JANUARY}`],
  ['single device-hours are counted', `update ${JANUARY} set value = value where device_id = 1`],
])('a leaf that leaves at the very moment when %s keeps its aggregates', async (_what, happens) => {
  database = await retentionDatabase();
  const stored = await storedOf(database, '2026-01');
  await database.sql.unsafe(happens);
  let detach: Awaited<ReturnType<typeof beginDetach>> | null = null;
  // The refresh itself is what the detach waits for by then.
  const result = await partitionsWith(
    database,
    ['aggregates', 'refresh'],
    /^(?=.*sensors_sensoraggregate)(?=.*2026-01-)/s,
    async () => {
      detach = await beginDetach();
    },
  );
  expect(result).toMatchObject({ exitCode: 0, data: { removed: 0 } });
  await (detach as Awaited<ReturnType<typeof beginDetach>> | null)?.ended;
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  await refreshed(database, '2026-03-10T15:00:00Z');
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  await expectExact(database, "hour >= '2026-02-01+00'");
});

it('a pending detach that sensordb completes keeps its aggregates, and what it missed keeps the leaf from its drop', async () => {
  database = await retentionDatabase();
  const reader = database.connect();
  await reader.unsafe('begin; select from sensors_sensorreading');
  const { ended } = await beginDetach();
  // Straight into the leaf: through the table it is not to be reached any more.
  await database.sql.unsafe(
    `insert into ${JANUARY} (device_id, timestamp, value) values (1, '2026-01-05 00:10+00', 9)`,
  );
  const [row] =
    await database.sql`select pid from pg_stat_activity where query = ${DETACH} and datname = current_database()`;
  await database.sql`select pg_cancel_backend(${row?.pid})`;
  await expect(ended).rejects.toMatchObject({ code: '57014' });
  await reader.unsafe('commit');
  const stored = await storedOf(database, '2026-01');
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject({
    exitCode: 0,
    data: { finalized: [JANUARY] },
  });
  await refreshed(database);
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject({
    exitCode: 6,
    error: { code: 'not_aggregated' },
  });
});
