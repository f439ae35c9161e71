import { afterEach, beforeEach, expect, it } from 'vitest';
import { expectExact, MARCH, refreshAt } from '../support/aggregates-gate.ts';
import { until } from '../support/live.ts';
import { addReadings, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

const NOON = '2026-03-10T12:30:00Z';
const JANUARY = `sensors_sensorreading_2026_01`;

let database: TestDatabase;

beforeEach(async () => {
  database = await readingsDatabase();
  await addReadings(database.sql, '2026-02-10T00:00Z', 5);
  await addReadings(database.sql, '2026-03-01T00:00Z', 5);
  await refreshAt(database, NOON);
});

afterEach(() => database.drop());

// What there is to be noted in any case, so that a refresh looks at the leaves.
const MAKE_APRIL = `create table sensors_sensorreading_2026_04 partition of sensors_sensorreading
  for values from ('2026-04-01') to ('2026-05-01')`;

it.each([
  ['is truncated', `truncate ${MARCH}`],
  [
    'is attached',
    `alter table sensors_sensorreading attach partition ${JANUARY} for values from ('2026-01-01') to ('2026-02-01')`,
  ],
  [
    'is written to without its triggers',
    `alter table ${MARCH} disable trigger sensordb_change_delete; delete from ${MARCH} where device_id = 2; alter table ${MARCH} enable always trigger sensordb_change_delete`,
  ],
])('a leaf that %s while a refresh takes note of leaves is counted', async (_what, happens) => {
  const { sql } = database;
  await sql.unsafe(`create table ${JANUARY} (like sensors_sensorreading including all);
    insert into ${JANUARY} (device_id, timestamp, value) select 1, timestamptz '2026-01-05' + n * interval '1 hour', n from generate_series(1, 5) n`);
  await sql.unsafe(MAKE_APRIL);
  // It holds the refresh up between what it reads and what it notes.
  const holder = database.connect();
  await holder.unsafe('begin; lock table sensordb.aggregate_leaf in share mode');
  const running = refreshAt(database, NOON);
  await until('the refresh waits', async () => {
    const rows =
      await sql`select from pg_locks where not granted and relation = 'sensordb.aggregate_leaf'::regclass`;
    return rows.length > 0;
  });
  await sql.unsafe(happens);
  await holder.unsafe('rollback');
  await running;
  await refreshAt(database, NOON);
  await expectExact(database);
  expect(await sql`select from sensordb.aggregate_pending`).toHaveLength(0);
});

// A dump writes the OID of a table that is there no more as a number, which in the restored database may be that of any table.
it.each([
  ['DEFAULT', 'sensors_sensorreading_default'],
  ['another leaf', MARCH],
])(
  'the hours of a leaf that was dropped stay frozen when its number is that of %s by now',
  async (_what, other) => {
    const { sql } = database;
    const kept = () => sql<{ line: string }[]>`
    select a::text as line from sensors_sensoraggregate a where a.hour < '2026-03-01Z' order by a.id`;
    const before = await kept();
    await sql`drop table sensors_sensorreading_2026_02`;
    await refreshAt(database, NOON);
    // As after a restore: all leaves look otherwise than they did, too.
    await sql`update sensordb.aggregate_retired set leaf_oid = ${other}::regclass`;
    await sql`update sensordb.aggregate_leaf set fingerprint = ''`;
    await refreshAt(database, NOON);
    expect([...(await kept())]).toEqual([...before]);
    expect(before.length).toBeGreaterThan(0);
  },
);
