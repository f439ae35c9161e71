import { afterEach, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { expectPrintedLocks } from '../support/lock-watch.ts';
import { FEBRUARY, JANUARY, partitions, refreshed, retentionDatabase } from '../support/retention.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const SHAPES = [
  ['plain', false, ''],
  ['with DEFAULT', true, ''],
  [
    'of which a leaf is partitioned itself',
    true,
    `drop table ${JANUARY};
     create table ${JANUARY} partition of sensors_sensorreading for values from ('2026-01-01+00') to ('2026-02-01+00')
       partition by range (timestamp);
     create table below partition of ${JANUARY} default`,
  ],
] as const;

it.each(SHAPES)(
  'detach, attach and drop lock what is printed, on a table with aggregates %s',
  async (_what, byDefault, more) => {
    database = await retentionDatabase({ default: byDefault, refreshedAt: null });
    if (more !== '') await database.sql.unsafe(more);
    await refreshed(database);
    const options = { now: NOW };
    await expectPrintedLocks(database, ['partitions', 'detach', JANUARY], options);
    await expectPrintedLocks(database, ['partitions', 'attach', JANUARY], options);
    await refreshed(database);
    await expectPrintedLocks(database, ['partitions', 'drop', JANUARY, '--yes'], options);
    await expectPrintedLocks(database, ['partitions', 'detach', FEBRUARY, '--no-gate', '--yes'], options);
    await expectPrintedLocks(database, ['partitions', 'drop', FEBRUARY, '--yes'], options);
  },
);

it('what partitions list and ensure say is the same with aggregates as without', async () => {
  database = await retentionDatabase({ default: true, refreshedAt: null });
  const said = async () => [
    (await partitions(database, 'list')).data,
    (await partitions(database, 'ensure', '--months', '2')).data,
    (await partitions(database, 'repair')).exitCode,
  ];
  await said();
  const before = await said();
  await refreshed(database);
  const [list, ...after] = await said();
  expect([list, ...after]).toEqual(before);
});
