import { afterEach, expect, it } from 'vitest';
import {
  expectExact,
  FEBRUARY,
  JANUARY,
  late,
  NOT_AGGREGATED,
  partitions,
  partitionsWith,
  refreshed,
  retentionDatabase,
  storedOf,
} from '../support/retention.ts';
import type { TestDatabase } from '../support/server.ts';
import { insertTwin, TWINS, turnTwin } from '../support/sketch.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const LOCK_PARENT = /^lock table only public\.sensors_sensorreading in access exclusive/;

it.each([
  ['drop', ['--yes']],
  ['detach', []],
])('a late reading that races the %s keeps the leaf', async (verb, more) => {
  database = await retentionDatabase({ default: true });
  const result = await partitionsWith(database, [verb, JANUARY, ...more], LOCK_PARENT, () =>
    database.sql.unsafe(late('2026-01-20 03:04')),
  );
  expect(result).toMatchObject(NOT_AGGREGATED);
  await refreshed(database);
  await expectExact(database);
});

const BELOW = `drop table ${JANUARY};
  create table ${JANUARY} partition of sensors_sensorreading for values from ('2026-01-01+00') to ('2026-02-01+00')
    partition by range (timestamp);
  create table below partition of ${JANUARY} default`;

it.each([
  ['drop', ['--yes'], JANUARY],
  ['detach', [], JANUARY],
  ['drop', ['--yes'], 'a partition below it'],
])('a writer into the leaf itself is waited for before the last look: %s', async (verb, more, into) => {
  database = await retentionDatabase({ default: true, refreshedAt: null });
  if (into !== JANUARY) await database.sql.unsafe(BELOW);
  await refreshed(database);
  const writer = database.connect();
  const write = late('2026-01-20 03:04', into === JANUARY ? JANUARY : 'below');
  // A session's first write into a leaf reads the bounds, under a lock on the parent; the next one locks the leaf alone.
  await writer.unsafe(`begin; ${write}; rollback`);
  // The lock on the parent does not hold him off, and he ends while the next one is waited for.
  const result = await partitionsWith(
    database,
    [verb, JANUARY, ...more],
    /^(lock table|drop table|alter table) .*_2026_01/,
    async () => {
      await writer.unsafe(`begin; ${write}`);
      setTimeout(() => writer.unsafe('commit').catch(() => {}), 8);
    },
  );
  expect(result).toMatchObject(NOT_AGGREGATED);
  await refreshed(database);
  await expectExact(database);
});

const SLIPS = [
  ['a reading', late('2026-01-05 03:04')],
  ['a reading of an hour that had none', late('2026-01-20 03:04')],
  ['a change', `update ${JANUARY} set value = 4.5 where device_id = 1 and value = 1`],
  ['a deletion of all that an hour had', `delete from ${JANUARY} where timestamp < '2026-01-05 01:00+00'`],
  ['a truncation and new readings', `truncate ${JANUARY}; ${late('2026-01-20 03:04')}`],
] as const;

it.each(SLIPS.flatMap(([what, happens]) => [true, false].map((between) => ({ what, happens, between }))))(
  '$what that slips into a leaf once DETACH CONCURRENTLY was let through keeps it from its drop, with a refresh in between: $between',
  async ({ happens, between }) => {
    database = await retentionDatabase();
    const detached = await partitionsWith(
      database,
      ['detach', JANUARY],
      /detach partition .* concurrently/,
      () => database.sql.unsafe(happens),
    );
    expect(detached).toMatchObject({ exitCode: 0, data: { detached: [JANUARY] } });
    const stored = await storedOf(database, '2026-01');
    if (between) await refreshed(database);
    expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject(NOT_AGGREGATED);
    expect(await storedOf(database, '2026-01')).toEqual(stored);
    // The remedy.
    expect(await partitions(database, 'attach', JANUARY)).toMatchObject({ exitCode: 0 });
    await refreshed(database);
    await expectExact(database);
    expect(await partitions(database, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
    expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject({
      exitCode: 0,
      data: { dropped: [JANUARY] },
    });
    await refreshed(database);
    await expectExact(database, "hour >= '2026-02-01+00'");
  },
);

it('a change that only the sketch tells keeps a leaf into which it slipped from its drop', async () => {
  database = await retentionDatabase({ refreshedAt: null });
  await database.sql.unsafe(insertTwin(TWINS.first, 1, '2026-01-20 03:00+00'));
  await refreshed(database);
  const detached = await partitionsWith(
    database,
    ['detach', JANUARY],
    /detach partition .* concurrently/,
    () => database.sql.unsafe(turnTwin(JANUARY, 1, '2026-01-20 03:00+00')),
  );
  expect(detached).toMatchObject({ exitCode: 0, data: { detached: [JANUARY] } });
  expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject(NOT_AGGREGATED);
  // Turned back, it is what was counted.
  await database.sql.unsafe(turnTwin(JANUARY, 1, '2026-01-20 03:00+00', TWINS.first));
  expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject({ exitCode: 0 });
});

it('a reading that comes late and goes to DEFAULT keeps no detached leaf', async () => {
  database = await retentionDatabase({ default: true });
  expect(await partitions(database, 'detach', JANUARY, FEBRUARY)).toMatchObject({ exitCode: 0 });
  const stored = await storedOf(database, '2026-01');
  await database.sql.unsafe(`${late('2026-01-05 00:10')}; ${late('2026-01-20 03:04')}`);
  expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject({ exitCode: 0 });
  expect(await refreshed(database)).toMatchObject({ data: { skipped: 2 } });
  expect(await database.sql`select hour from sensordb.aggregate_skipped`).toHaveLength(2);
  expect(await partitions(database, 'drop', JANUARY, '--yes')).toMatchObject({
    exitCode: 0,
    data: { dropped: [JANUARY] },
  });
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  // What was skipped is forgotten with the leaf, when the partitions are next looked at.
  await database.sql`create table sensors_sensorreading_2026_04 partition of sensors_sensorreading
    for values from ('2026-04-01+00') to ('2026-05-01+00')`;
  await refreshed(database);
  expect(await database.sql`select hour from sensordb.aggregate_skipped`).toHaveLength(0);
  expect(await storedOf(database, '2026-01')).toEqual(stored);
});

it.each([
  ['that were logged', late('2026-02-05 00:10')],
  ['that were open', late('2026-02-20 03:04')],
  [
    'that a disabled trigger missed',
    `alter table ${FEBRUARY} disable trigger sensordb_change_insert; ${late('2026-02-05 00:10')};
     alter table ${FEBRUARY} enable always trigger sensordb_change_insert`,
  ],
  [
    'that are pending',
    `insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
       select id, '2026-02-01+00', '2026-02-08+00' from sensordb.aggregate_source;
     alter table sensors_sensorreading disable trigger sensordb_change_insert; ${late('2026-02-05 00:10')};
     alter table sensors_sensorreading enable always trigger sensordb_change_insert`,
  ],
])('rows %s when a leaf was detached with --no-gate keep it from its drop', async (_what, happens) => {
  for (const byDefault of [true, false]) {
    database = await retentionDatabase({ default: byDefault, refreshedAt: '2026-02-10T12:34:56Z' });
    await database.sql.unsafe(happens);
    expect(await partitions(database, 'detach', FEBRUARY, '--no-gate', '--yes')).toMatchObject({
      exitCode: 0,
    });
    expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject(NOT_AGGREGATED);
    await refreshed(database);
    expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject(NOT_AGGREGATED);
    expect(await partitions(database, 'attach', FEBRUARY)).toMatchObject({ exitCode: 0 });
    await refreshed(database);
    await expectExact(database);
    expect(await partitions(database, 'detach', FEBRUARY)).toMatchObject({ exitCode: 0 });
    expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject({ exitCode: 0 });
    if (byDefault) await database.drop();
  }
});

it('a leaf that was detached before there were aggregates is kept, unless it is empty', async () => {
  database = await retentionDatabase({ refreshedAt: null });
  await database.sql.unsafe(`truncate ${FEBRUARY}`);
  expect(await partitions(database, 'detach', JANUARY, FEBRUARY)).toMatchObject({ exitCode: 0 });
  await refreshed(database);
  expect(await partitions(database, 'drop', JANUARY, FEBRUARY, '--yes')).toMatchObject({
    ...NOT_AGGREGATED,
    changed: true,
    data: { dropped: [FEBRUARY], refused: [{ name: JANUARY, reason: 'not_aggregated' }] },
  });
});
