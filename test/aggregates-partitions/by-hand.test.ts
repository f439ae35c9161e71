import { afterEach, describe, expect, it } from 'vitest';
import {
  expectExact,
  FEBRUARY,
  JANUARY,
  late,
  NOT_AGGREGATED,
  partitions,
  refreshed,
  retentionDatabase,
  storedOf,
} from '../support/retention.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const TABLE = 'sensors_sensorreading';
const BOUNDS = "for values from ('2026-01-01+00') to ('2026-02-01+00')";
const ASIDE = `create table aside (like ${TABLE} including all);
  insert into aside select 900 + n, 2, timestamptz '2026-01-05+00' + n * interval '50 minutes', n from generate_series(0, 9) n;`;

const CHANGES: readonly (readonly [what: string, ...statements: string[]])[] = [
  ['TRUNCATE of a leaf', `truncate ${JANUARY}`],
  ['TRUNCATE of the table, and new rows', `truncate ${TABLE}; ${late('2026-01-05 00:10')}`],
  ['TRUNCATE of DEFAULT', late('2025-06-01 00:10'), 'REFRESH', `truncate ${TABLE}_default`],
  ['VACUUM FULL', `vacuum full ${JANUARY}`],
  [
    'a leaf that is detached and attached again, with other rows',
    `alter table ${TABLE} detach partition ${JANUARY}; delete from ${JANUARY} where device_id = 1; ${late('2026-01-09 00:10', JANUARY)};
     alter table ${TABLE} attach partition ${JANUARY} ${BOUNDS}`,
  ],
  [
    'a leaf that is detached and attached again after a refresh',
    `alter table ${TABLE} detach partition ${JANUARY}`,
    'REFRESH',
    `delete from ${JANUARY} where device_id = 1`,
    `alter table ${TABLE} attach partition ${JANUARY} ${BOUNDS}`,
  ],
  [
    'a new leaf, and rows',
    `create table aside partition of ${TABLE} for values from ('2025-12-01+00') to ('2026-01-01+00'); ${late('2025-12-05 00:10')}`,
  ],
  [
    'a new leaf that is attached with rows',
    `${ASIDE} update aside set timestamp = timestamp - interval '1 month'`,
    `alter table ${TABLE} attach partition aside for values from ('2025-12-01+00') to ('2026-01-01+00')`,
  ],
  [
    'rows while the trigger of a leaf was disabled',
    `alter table ${JANUARY} disable trigger sensordb_change_insert; ${late('2026-01-05 00:10')}`,
    `alter table ${JANUARY} enable always trigger sensordb_change_insert`,
  ],
  [
    'rows while the trigger of a leaf was disabled, and a refresh',
    `alter table ${JANUARY} disable trigger all; ${late('2026-01-05 00:10')}`,
    'REFRESH',
    late('2026-01-05 00:11'),
  ],
  [
    'rows in a session of role replica',
    `set session_replication_role to replica; ${late('2026-01-05 00:10')}; reset session_replication_role`,
  ],
  ['a leaf of another name', `alter table ${JANUARY} rename to other; ${late('2026-01-05 00:10', 'other')}`],
  [
    'leaves that swap their names',
    `alter table ${JANUARY} rename to other; alter table ${FEBRUARY} rename to ${JANUARY}; alter table other rename to ${FEBRUARY};
     ${late('2026-01-05 00:10', FEBRUARY)}`,
  ],
];

it.each(CHANGES)('%s: exact after a refresh', async (_what, ...statements) => {
  database = await retentionDatabase({ default: true });
  for (const statement of statements) {
    if (statement === 'REFRESH') await refreshed(database);
    else await database.sql.unsafe(statement);
  }
  await refreshed(database);
  await expectExact(database);
  expect(await refreshed(database)).toMatchObject({ data: { written: 0, removed: 0 } });
});

const GONE: readonly (readonly [what: string, statement: string])[] = [
  ['is detached', `alter table ${TABLE} detach partition ${JANUARY}`],
  ['is detached CONCURRENTLY', `alter table ${TABLE} detach partition ${JANUARY} concurrently`],
  ['is dropped', `drop table ${JANUARY}`],
  ['is truncated, then dropped', `truncate ${JANUARY}; drop table ${JANUARY}`],
  [
    'is rewritten, then detached',
    `alter table ${JANUARY} set (fillfactor = 90); truncate ${JANUARY}; alter table ${TABLE} detach partition ${JANUARY}`,
  ],
];

describe.each(GONE)('a leaf that %s by hand', (_what, statement) => {
  it('leaves its aggregates as they stand, whatever comes later', async () => {
    database = await retentionDatabase();
    const stored = await storedOf(database, '2026-01');
    await database.sql.unsafe(statement);
    await refreshed(database);
    expect(await storedOf(database, '2026-01')).toEqual(stored);
    // Late rows have no place but DEFAULT, and no aggregates but those of the leaf that went.
    await database.sql.unsafe(
      `create table rest partition of ${TABLE} default; ${late('2026-01-05 00:10')}; ${late('2026-01-21 00:10')}`,
    );
    expect(await refreshed(database)).toMatchObject({
      data: { skipped: 2 },
      warnings: expect.arrayContaining([expect.objectContaining({ code: 'retired_hours_changed' })]),
    });
    await refreshed(database, '2026-03-10T15:00:00Z');
    expect(await storedOf(database, '2026-01')).toEqual(stored);
    await expectExact(database, "hour >= '2026-02-01+00'");
  });
});

it('a leaf made anew in the place of one that went is not counted, and not dropped either', async () => {
  database = await retentionDatabase();
  const stored = await storedOf(database, '2026-01');
  await database.sql.unsafe(`drop table ${JANUARY}; create table ${JANUARY} partition of ${TABLE} ${BOUNDS}`);
  await refreshed(database);
  expect(await partitions(database, 'drop', JANUARY, '--yes', '--dry-run')).toMatchObject({ exitCode: 0 });
  await database.sql.unsafe(late('2026-01-05 00:10'));
  await refreshed(database);
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  const result = await partitions(database, 'drop', JANUARY, '--yes');
  expect(result).toMatchObject({ exitCode: 6, error: { code: 'not_aggregated' } });
  expect(result.error?.hint).toContain(
    'sensordb aggregates backfill --recount --from 2026-01-01 --to 2026-02-01 --table public.sensors_sensorreading.',
  );
});

it('a sub-partition that is detached freezes the hours of its leaf', async () => {
  database = await retentionDatabase({ refreshedAt: null });
  await database.sql.unsafe(`
    alter table ${TABLE} detach partition ${JANUARY};
    create table whole partition of ${TABLE} ${BOUNDS} partition by range (timestamp);
    create table whole_1 partition of whole for values from ('2026-01-01+00') to ('2026-01-05 03:00+00');
    create table whole_2 partition of whole for values from ('2026-01-05 03:00+00') to ('2026-02-01+00');
    insert into ${TABLE} select * from ${JANUARY}`);
  await refreshed(database);
  await expectExact(database);
  const stored = await storedOf(database, '2026-01');
  expect(stored.length).toBeGreaterThan(0);
  await database.sql.unsafe(`alter table whole detach partition whole_2; ${late('2026-01-05 00:10')}`);
  await refreshed(database);
  await refreshed(database, '2026-03-10T15:00:00Z');
  expect(await storedOf(database, '2026-01')).toEqual(stored);
  expect(await partitions(database, 'drop', 'whole', '--yes')).toMatchObject({
    exitCode: 6,
    error: { code: 'not_aggregated' },
  });
  await database.sql.unsafe(
    "alter table whole attach partition whole_2 for values from ('2026-01-05 03:00+00') to ('2026-02-01+00')",
  );
  await refreshed(database);
  await expectExact(database);
  expect(await partitions(database, 'drop', 'whole', '--yes')).toMatchObject({ exitCode: 0 });
});

it('the hours of a leaf that ended before they were over stand, too', async () => {
  database = await retentionDatabase();
  await database.sql.unsafe(`${late('2026-03-10 12:01')}; ${late('2026-03-20 12:01')}`);
  await refreshed(database);
  const stored = await storedOf(database, '2026-03');
  await database.sql.unsafe(`alter table ${TABLE} detach partition sensors_sensorreading_2026_03`);
  await refreshed(database);
  await refreshed(database, '2026-03-21T15:00:00Z');
  expect(await storedOf(database, '2026-03')).toEqual(stored);
});

it('detach and attach undo each other, with late rows in between', async () => {
  database = await retentionDatabase({ default: true });
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
  await database.sql.unsafe(`delete from ${JANUARY} where device_id = 2; ${late('2026-01-05 00:10')}`);
  await refreshed(database);
  // DEFAULT holds a row of it: that is for drain, which makes a leaf of it; or it is moved by hand.
  expect((await partitions(database, 'attach', JANUARY)).exitCode).toBe(3);
  await database.sql.unsafe(
    `with moved as (delete from ${TABLE}_default returning *) insert into ${JANUARY} select * from moved`,
  );
  expect(await partitions(database, 'attach', JANUARY)).toMatchObject({ exitCode: 0 });
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject(NOT_AGGREGATED);
  await refreshed(database);
  await expectExact(database);
  expect(await database.sql`select hour from sensordb.aggregate_skipped`).toHaveLength(0);
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
});
