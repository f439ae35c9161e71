import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { type KillScene, surviveCuts, surviveKills, surviveTerminations } from '../support/kills.ts';
import { addReadings, differences, readingsDatabase, refresh } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await readingsDatabase();
  await runCli(['migrate', 'up', '--state-only', '--quiet'], { url: database.url });
});
afterAll(() => database.drop());

const EARLIER = '2026-03-10T09:30:00Z';
const LATER = '2026-03-10T12:30:00Z';

/** Empties all, and forgets the source. */
async function makeFirst(): Promise<void> {
  await database.sql.unsafe(`truncate sensors_sensorreading, sensors_sensoraggregate restart identity;
    delete from sensordb.aggregate_source; truncate sensordb.aggregate_change, sensordb.run_log;
    drop trigger if exists sensordb_change_insert on sensors_sensorreading;
    drop trigger if exists sensordb_change_update on sensors_sensorreading;
    drop trigger if exists sensordb_change_delete on sensors_sensorreading;
    do $$ declare gate regclass; begin
      for gate in select oid from pg_class where relkind = 'S' and relname like 'aggregate\\_gate\\_%' loop
        execute format('drop sequence %s', gate);
      end loop;
    end $$`);
  await addReadings(database.sql, '2026-02-28 20:00Z', 8);
  await addReadings(database.sql, '2026-03-10 05:00Z', 8);
  // Open by any clock.
  await addReadings(database.sql, '2400-01-01 00:00Z', 2);
}

/** Leaves something of each kind to do: hours that are over now, a leaf that was emptied, late rows, open hours. */
async function makeLater(): Promise<void> {
  await makeFirst();
  await refresh(database, EARLIER);
  await database.sql.unsafe(`truncate sensors_sensorreading_2026_02;
    insert into sensors_sensorreading (device_id, timestamp, value)
    values (1, '2026-02-28 23:30Z', 5), (2, '2026-03-10 07:05Z', 6), (1, '2400-01-01 05:00Z', 7);
    update sensors_sensorreading set timestamp = timestamp + interval '90 minutes' where timestamp between '2026-03-10 05:00Z' and '2026-03-10 05:30Z';
    delete from sensors_sensorreading where device_id = 3 and timestamp between '2026-03-10 06:00Z' and '2026-03-10 06:59Z'`);
}

/** What a refresh leaves. How far the clean hours reach depends on the clock, which is the machine's when the client is killed. */
async function endState(): Promise<unknown> {
  const { sql } = database;
  const stored = await sql`
    select device_id, hour, reading_count, value_sum::text, value_min, value_max, value_sxx::text, first_at, first_value, last_at, last_value, value_sketch
      from sensors_sensoraggregate order by device_id, hour`;
  const wrong = await differences(sql, 'sensors_sensoraggregate');
  const todo = await sql`
    select (select count(*)::int from sensordb.aggregate_pending) as pending,
           (select count(*)::int from sensordb.aggregate_change) as logged,
           (sensordb.unsettled_ranges(s.id) - tstzmultirange(tstzrange(s.clean_until, null)))::text as unsettled,
           s.clean_until <= to_timestamp(pg_sequence_last_value(s.gate) * 3600.0) as gated,
           (select count(*)::int from sensordb.aggregate_leaf where fingerprint is not null) as leaves
      from sensordb.aggregate_source s`;
  const triggers = await sql`
    select tgrelid::regclass::text as table, tgname, tgenabled from pg_trigger where tgname like 'sensordb%' order by 1, 2`;
  const locks = await sql`select classid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  const all = { stored, wrong, todo, triggers, locks };
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, [...value]]));
}

const WRITES =
  /^(commit of )?(create|alter|grant|select setval|with|insert|update|delete|lock|savepoint|rollback to|select \*)/;

const SCENES: readonly (readonly [string, () => Promise<void>])[] = [
  ['the first refresh', makeFirst],
  ['a later refresh', makeLater],
];

describe.each(SCENES)('%s', (_name, reset) => {
  const scene = (among: RegExp): KillScene => ({
    words: ['aggregates', 'refresh', '--json'],
    now: LATER,
    database,
    reset,
    endState,
    kindWords: 6,
    among,
  });

  it('leaves nothing to do and nothing wrong', async () => {
    await reset();
    await refresh(database, LATER);
    expect(await endState()).toMatchObject({
      wrong: [],
      todo: [{ pending: 0, logged: 0, unsettled: '{}', gated: true, leaves: 3 }],
      locks: [],
    });
  });

  it('is made good by the next run, wherever the connection broke', { timeout: 120_000 }, async () => {
    await surviveCuts(scene(WRITES));
  });

  it('is made good by the next run when its server process is terminated', { timeout: 120_000 }, async () => {
    await surviveTerminations(scene(WRITES));
  });

  it('is made good by the next run after SIGKILL', { timeout: 120_000 }, async () => {
    await surviveKills(scene(WRITES));
  });
});
