import { afterEach, expect, it } from 'vitest';
import { attach, detach, readings } from '../support/detach.ts';
import { startProxy } from '../support/proxy.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const OLD = 'readings_2025_12';

/** Cuts the run right before its DETACH CONCURRENTLY. */
async function cutBefore(words: readonly string[]): Promise<void> {
  const proxy = await startProxy(database.url, {
    before: ({ text, cut }) => {
      if (/detach partition/.test(text)) cut();
    },
  });
  await detach(proxy, words);
  await proxy.close();
  const noted = await database.sql`select state from sensordb.detached_leaf`;
  expect(noted).toEqual([{ state: 'detaching' }]);
}

async function placeOf(leaf: string): Promise<string> {
  const [row] =
    await database.sql`select relnamespace::regnamespace::text as schema from pg_class where relname = ${leaf}`;
  return row?.schema;
}

it.each([
  ['right away', []],
  ['after another run', [['--before', '2020-01-01']]],
])(
  'a run that was cut before DETACH has no part in what somebody detaches by hand, %s',
  async (_when, runs) => {
    database = await readings('create schema archive');
    await cutBefore([OLD, '--into-schema', 'archive']);
    for (const words of runs) {
      expect(await detach(database, words)).toMatchObject({
        exitCode: 0,
        changed: false,
        data: { detached: [] },
      });
    }
    await database.sql.unsafe(`alter table readings detach partition ${OLD}`);
    const run = await detach(database, ['readings_2026_01']);
    expect(run).toMatchObject({ exitCode: 0, data: { detached: ['readings_2026_01'] } });
    expect(await placeOf(OLD)).toBe('public');
    const noted = await database.sql`select leaf_name from sensordb.detached_leaf where state <> 'attached'`;
    expect(noted).toEqual([{ leaf_name: 'readings_2026_01' }]);
  },
);

it('a leaf counts as detached from the end of its detach, not from its beginning', async () => {
  database = await readings();
  await cutBefore([OLD]);
  await database.sql`update sensordb.detached_leaf set detached_at = detached_at - interval '8 days'`;
  await database.sql.unsafe(`alter table readings detach partition ${OLD} concurrently`);
  expect(await detach(database, ['--before', '2020-01-01'])).toMatchObject({ data: { detached: [OLD] } });
  const noted = await database.sql`select state, clock_timestamp() - detached_at < interval '1 day' as now
    from sensordb.detached_leaf`;
  expect(noted).toEqual([{ state: 'detached', now: true }]);
});

it('attach ends the note of a detach that never took place', async () => {
  database = await readings('create schema archive');
  await cutBefore([OLD, '--into-schema', 'archive']);
  const run = await attach(database, [OLD]);
  expect(run).toMatchObject({ exitCode: 0, changed: false, data: { attached: [], existing: [OLD] } });
  expect(await database.sql`select state from sensordb.detached_leaf`).toEqual([{ state: 'attached' }]);
  await database.sql.unsafe(`alter table readings detach partition ${OLD} concurrently`);
  expect(await detach(database, ['--before', '2020-01-01'])).toMatchObject({ data: { detached: [] } });
  expect(await placeOf(OLD)).toBe('public');
});

it('detach --no-gate --dry-run asks for no confirmation', async () => {
  database = await readings();
  const run = await detach(database, [OLD, '--no-gate', '--dry-run']);
  expect(run).toMatchObject({ exitCode: 0, changed: false, error: null });
});

it('attach tells apart two leaves of one name in two schemas', async () => {
  database = await readings('create schema archive');
  await detach(database, [OLD, '--into-schema', 'archive']);
  await database.sql.unsafe('alter table readings_2026_01 rename to january');
  await detach(database, ['january']);
  await database.sql.unsafe(`update sensordb.detached_leaf set leaf_name = 'same';
    alter table archive.${OLD} rename to same; alter table january rename to same;
    alter table archive.same add extra int`);
  const run = await attach(database, ['public.same', 'archive.same']);
  expect(run).toMatchObject({ exitCode: 3, data: { attached: ['same'] } });
  expect(run.data.conflicts).toMatchObject([{ name: 'same', reason: 'columns_differ' }]);
});

it.each([
  ['beside DEFAULT', 'create table readings_default partition of readings default'],
  ['without DEFAULT', ''],
])('a CHECK that somebody put in the place of ours stays his, %s', async (_name, prepare) => {
  database = await readings(prepare);
  expect((await detach(database, [OLD])).exitCode).toBe(0);
  const [ours] = await database.sql`select check_name as name from sensordb.detached_leaf`;
  await database.sql.unsafe(`alter table ${OLD} drop constraint ${ours?.name},
    add constraint ${ours?.name} check (id is not null)`);
  expect((await attach(database, [OLD])).exitCode).toBe(0);
  const checks =
    await database.sql`select conname as name, pg_get_constraintdef(oid) as text from pg_constraint
    where conrelid = ${OLD}::regclass and contype = 'c'`;
  expect([...checks]).toEqual([{ name: ours?.name, text: 'CHECK ((id IS NOT NULL))' }]);
});
