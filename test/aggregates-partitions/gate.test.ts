import { afterEach, describe, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { runText } from '../support/partitions.ts';
import {
  FEBRUARY,
  JANUARY,
  late,
  NOT_AGGREGATED,
  partitions,
  refreshed,
  retentionDatabase,
} from '../support/retention.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
afterEach(() => database.drop());

const DIRTY: readonly (readonly [string, ...string[]])[] = [
  ['a late reading', late('2026-01-20 03:04')],
  ['a late reading, straight into the leaf', late('2026-01-20 03:04', JANUARY)],
  ['a changed reading', `update ${JANUARY} set value = 9 where device_id = 1`],
  ['a deleted reading', `delete from ${JANUARY} where device_id = 1 and timestamp < '2026-01-05 01:00+00'`],
  ['a truncated leaf', `truncate ${JANUARY}`],
  ['a rewritten leaf', `vacuum full ${JANUARY}`],
  [
    'a leaf that took rows while its trigger was disabled',
    `alter table ${JANUARY} disable trigger sensordb_change_insert`,
    late('2026-01-20 03:04'),
    `alter table ${JANUARY} enable always trigger sensordb_change_insert`,
  ],
  [
    'a pending range that overlaps',
    `insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
     select id, '2026-01-31 23:00+00', '2026-02-01 00:00+00' from sensordb.aggregate_source`,
  ],
  [
    'a leaf that was attached with rows',
    `alter table sensors_sensorreading detach partition ${JANUARY}`,
    `create table aside (like ${JANUARY} including all)`,
    `insert into aside select * from ${JANUARY}`,
    `drop table ${JANUARY}`,
    `alter table aside rename to ${JANUARY}`,
    `alter table sensors_sensorreading attach partition ${JANUARY} for values from ('2026-01-01+00') to ('2026-02-01+00')`,
  ],
];

describe.each([true, false])('with DEFAULT: %s', (byDefault) => {
  it.each(DIRTY)('%s keeps a leaf until a refresh', async (_what, ...statements) => {
    database = await retentionDatabase({ default: byDefault });
    for (const statement of statements) await database.sql.unsafe(statement);
    for (const { verb, more } of [
      { verb: 'detach', more: [] },
      { verb: 'drop', more: ['--yes'] },
    ]) {
      const result = await partitions(database, verb, JANUARY, FEBRUARY, ...more, '--dry-run');
      expect(result).toMatchObject({
        ...NOT_AGGREGATED,
        data: { [`${verb}${verb === 'drop' ? 'p' : ''}ed`]: [FEBRUARY] },
      });
      expect(result.data.refused).toMatchObject([{ name: JANUARY, reason: 'not_aggregated' }]);
      expect(await partitions(database, verb, JANUARY, ...more)).toMatchObject(NOT_AGGREGATED);
    }
    await refreshed(database);
    expect(await partitions(database, 'detach', JANUARY)).toMatchObject({
      exitCode: 0,
      data: { detached: [JANUARY] },
    });
    expect(await partitions(database, 'drop', JANUARY, FEBRUARY, '--yes')).toMatchObject({
      exitCode: 0,
      data: { dropped: [JANUARY, FEBRUARY] },
    });
  });
});

it('a disabled trigger keeps a leaf, and names what mends it', async () => {
  database = await retentionDatabase();
  await database.sql.unsafe(`alter table ${JANUARY} disable trigger sensordb_change_delete`);
  await refreshed(database);
  const result = await partitions(database, 'detach', JANUARY);
  expect(result).toMatchObject(NOT_AGGREGATED);
  expect(result.error?.hint).toContain('sensordb partitions repair');
  expect(await partitions(database, 'repair')).toMatchObject({ exitCode: 0, changed: true });
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject(NOT_AGGREGATED);
  await refreshed(database);
  expect(await partitions(database, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
});

it('hours that were not over when the last refresh ran keep a leaf that holds rows of them', async () => {
  database = await retentionDatabase({ refreshedAt: '2026-02-10T12:34:56Z' });
  expect(await partitions(database, 'drop', FEBRUARY, '--yes', '--dry-run')).toMatchObject({ exitCode: 0 });
  await database.sql.unsafe(late('2026-02-10 12:00'));
  expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject(NOT_AGGREGATED);
  expect(await partitions(database, 'detach', FEBRUARY)).toMatchObject(NOT_AGGREGATED);
  await refreshed(database);
  expect(await partitions(database, 'drop', FEBRUARY, '--yes')).toMatchObject({ exitCode: 0 });
});

it('a leaf that no refresh has seen goes if it is empty', async () => {
  database = await retentionDatabase();
  await database.sql`create table old partition of sensors_sensorreading for values from ('2025-12-01+00') to ('2026-01-01+00')`;
  expect(await partitions(database, 'drop', 'old', '--yes', '--dry-run')).toMatchObject({ exitCode: 0 });
  await database.sql.unsafe(late('2025-12-31 23:59'));
  expect(await partitions(database, 'drop', 'old', '--yes')).toMatchObject(NOT_AGGREGATED);
});

it('--no-gate overrides it, and the run log says so', async () => {
  database = await retentionDatabase();
  await database.sql.unsafe(`${late('2026-01-20 03:04')}; ${late('2026-02-20 03:04')}`);
  expect(await partitions(database, 'detach', JANUARY, '--no-gate', '--yes')).toMatchObject({ exitCode: 0 });
  expect(await partitions(database, 'drop', FEBRUARY, '--no-gate', '--yes')).toMatchObject({ exitCode: 0 });
  const log = await database.sql`select command, result -> 'overridden' as overridden from sensordb.run_log
    where command like 'partitions%' order by id`;
  expect([...log]).toEqual([
    { command: 'partitions detach', overridden: [{ name: JANUARY, reason: 'not_aggregated' }] },
    { command: 'partitions drop', overridden: [{ name: FEBRUARY, reason: 'not_aggregated' }] },
  ]);
});

it('asks nothing of a table without aggregates', async () => {
  database = await retentionDatabase();
  await database.sql.unsafe(`create table t (at timestamptz) partition by range (at);
    create table t_1 partition of t for values from ('2026-01-01+00') to ('2026-02-01+00');
    create table t_2 partition of t for values from ('2026-02-01+00') to ('2026-03-01+00'); insert into t values ('2026-01-05')`);
  expect(await partitions(database, 'drop', '-t', 't', 't_1', '--yes')).toMatchObject({ exitCode: 0 });
});

it.each(['nothing', 'what it had before there were aggregates'])(
  'of sensordb there is %s: the leaf goes, and the script of a dry run does the same',
  async (what) => {
    database = await createDatabase();
    await database.sql.unsafe(`create table t (id bigint, at timestamptz) partition by range (at);
      create table t_1 partition of t for values from ('2026-01-01+00') to ('2026-02-01+00');
      create table t_2 partition of t for values from ('2026-02-01+00') to ('2026-03-01+00');
      create table t_3 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00')`);
    if (what !== 'nothing') await makeOlderState(database);
    const { stdout, exitCode } = await runText(
      database,
      ['partitions', 'drop', '-t', 't', 't_1', '--dry-run'],
      { now: NOW },
    );
    expect(exitCode).toBe(0);
    await database.connect().unsafe(stdout.slice(stdout.indexOf('begin')));
    expect(
      await database.sql`select to_regclass('t_1') as t, to_regclass('sensordb.aggregate_source')::text as s`,
    ).toEqual([{ t: null, s: 'sensordb.aggregate_source' }]);
    if (what !== 'nothing') await makeOlderState(database);
    expect(await partitions(database, 'detach', '-t', 't', 't_2')).toMatchObject({
      exitCode: 0,
      data: { detached: ['t_2'] },
    });
  },
);

/** Makes sensordb's own tables, without those of aggregates. */
async function makeOlderState({ url, sql }: TestDatabase): Promise<void> {
  await runText({ url }, ['migrate', 'up', '--state-only']);
  await sql.unsafe(`do $$ declare one record; begin
      for one in select format('drop %s if exists %s cascade', case prokind when 'a' then 'aggregate' else 'function' end, oid::regprocedure) as text
                   from pg_proc where pronamespace = 'sensordb'::regnamespace and proname <> 'refuse' order by 1 loop
        execute one.text;
      end loop;
      for one in select relname from pg_class where relnamespace = 'sensordb'::regnamespace and relname like 'aggregate%' and relkind = 'r' loop
        execute format('drop table sensordb.%I cascade', one.relname);
      end loop; end $$;
    delete from sensordb.migration where schema_name = 'sensordb' and version >= 4`);
}
