import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectExact, refreshAt } from '../support/aggregates-gate.ts';
import { runCli } from '../support/cli.ts';
import { type KillScene, surviveCuts, surviveKills, surviveTerminations } from '../support/kills.ts';
import { addReadings, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

// Those that are killed run by the machine's clock, so all do.
const NOW = new Date();
const hoursAgo = (hours: number): string => new Date(NOW.getTime() - hours * 3_600_000).toISOString();

let database: TestDatabase;
beforeAll(async () => {
  database = await readingsDatabase();
  await database.sql`set client_min_messages to warning`;
  await runCli(['migrate', 'up', '--state-only', '--quiet'], { url: database.url });
});
afterAll(() => database.drop());

/** Brings back readings without aggregates: no gate, no triggers. */
async function forget(): Promise<void> {
  const { sql } = database;
  await sql.unsafe(`
    drop trigger if exists sensordb_change_insert on sensors_sensorreading;
    drop trigger if exists sensordb_change_update on sensors_sensorreading;
    drop trigger if exists sensordb_change_delete on sensors_sensorreading;
    do $$ declare gate text; begin
      for gate in select s.gate::text from sensordb.aggregate_source s loop execute 'drop sequence ' || gate; end loop; end $$;
    drop table if exists sensors_sensorreading_2026_01;
    truncate sensordb.aggregate_source cascade;
    truncate sensordb.aggregate_change, sensordb.run_log, sensors_sensorreading, sensors_sensoraggregate`);
  await addReadings(sql, '2026-02-10T00:00Z', 4);
  await addReadings(sql, '2026-03-01T00:00Z', 4);
  await addReadings(sql, hoursAgo(6), 7);
}

/** Brings back aggregates that are five hours old, with all that a refresh can find: late rows, a leaf that came, one truncated. */
async function fallBehind(): Promise<void> {
  await forget();
  await refreshAt(database, hoursAgo(5));
  await database.sql.unsafe(`
    insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-02-10 01:10Z', 3), (2, '2026-02-20 01:10Z', 3);
    delete from sensors_sensorreading where timestamp < '2026-02-10 01:00Z' and device_id = 3;
    truncate sensors_sensorreading_2026_03;
    insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-02 01:10Z', 3);
    create table sensors_sensorreading_2026_01 (like sensors_sensorreading including all);
    insert into sensors_sensorreading_2026_01 (device_id, timestamp, value) values (1, '2026-01-02 01:10Z', 3);
    alter table sensors_sensorreading attach partition sensors_sensorreading_2026_01 for values from ('2026-01-01Z') to ('2026-02-01Z')`);
}

/** What is stored, what is left to be done, and no lock of anybody's. */
async function endState(): Promise<unknown> {
  const { sql } = database;
  await expectExact(database);
  const stored = await sql`
    select device_id, hour, reading_count, value_sum, first_value, last_value from sensors_sensoraggregate order by 1, 2`;
  const left = await sql`
    select (select count(*)::int from sensordb.aggregate_pending) as pending, (select count(*)::int from sensordb.aggregate_change) as changes,
           s.clean_until = to_timestamp(pg_sequence_last_value(s.gate) * 3600.0) as clean,
           sensordb.unsettled_ranges(s.id) - tstzmultirange(tstzrange(s.clean_until, null)) as unsettled
      from sensordb.aggregate_source s`;
  const triggers = await sql`
    select tgrelid::regclass::text as leaf, count(*)::int from pg_trigger where tgname like 'sensordb%' and tgenabled = 'A' group by 1 order by 1`;
  const locks = await sql`select classid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  return [[...stored], [...left], [...triggers], [...locks]];
}

const scene = (reset: () => Promise<unknown>): KillScene => ({
  words: ['aggregates', 'refresh', '--json'],
  database,
  now: NOW.toISOString(),
  reset,
  endState,
  kindWords: 4,
});

describe.each([
  ['the first', forget],
  ['a late', fallBehind],
])('%s refresh', (_which, reset) => {
  it(
    'that loses its connection says so, and a second run makes it good',
    () => surviveCuts(scene(reset)),
    120_000,
  );

  it('that is killed leaves what a second run makes good', () => surviveKills(scene(reset)), 120_000);
});

it(
  'a refresh whose server process is terminated says so, and a second run makes it good',
  () => surviveTerminations(scene(fallBehind)),
  120_000,
);

describe('of two refreshes at once', () => {
  it.each([
    ['the second exits 5 and names the first', '100ms', 5],
    ['the second waits for the first', '20s', 0],
  ])('%s', async (_what, wait, exitCode) => {
    await fallBehind();
    // The first waits for it in the midst of its work.
    const holder = database.connect();
    await holder.unsafe('begin; lock table sensors_sensoraggregate in share mode');
    const words = ['aggregates', 'refresh', '--json', '--wait'];
    const first = runCli([...words, '20s'], { url: database.url, now: NOW });
    await until(async () => {
      const waiting = await database.sql`
        select from pg_locks where not granted and relation = 'sensors_sensoraggregate'::regclass`;
      return waiting.length > 0;
    });
    const second = runCli([...words, wait], { url: database.url, now: NOW });
    if (exitCode === 5) expect((await second).json().error).toMatchObject({ code: 'locked' });
    await holder.unsafe('rollback');
    expect([(await first).exitCode, (await second).exitCode]).toEqual([0, exitCode]);
    await expectExact(database);
  });
});
