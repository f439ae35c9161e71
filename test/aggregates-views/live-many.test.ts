import { afterAll, beforeAll, expect, it } from 'vitest';
import { setupSteps } from '../../src/aggregates/setup.ts';
import type { Source } from '../../src/aggregates/source.ts';
import type { SourceState } from '../../src/aggregates/state.ts';
import { runCli } from '../support/cli.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import { LIVE } from '../support/recount.ts';
import { type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

const LEAVES = 5000;
const HOURS = 24_000;

let server: RunningServer;
let database: TestDatabase;
beforeAll(async () => {
  // There is room for max_locks_per_transaction times as many locks as these: all at their defaults.
  server = await startServer({ settings: { max_connections: '100', max_prepared_transactions: '0' } });
  database = await liveDatabase(server.url);
  // On two levels: PostgreSQL reads all partitions of a table again for each that is made.
  await database.sql.unsafe(`do $$
    declare
      first date;
    begin
      for n in 1 .. ${LEAVES / 100} loop
        first := date '2026-03-01' - n * 100;
        execute format('create table part_%s partition of sensors_sensorreading for values from (%L) to (%L) partition by range ("timestamp")',
                       n, first || ' 00:00Z', first + 100 || ' 00:00Z');
        for k in 0 .. 99 loop
          execute format('create table leaf_%1$s_%2$s partition of part_%1$s for values from (%3$L) to (%4$L)',
                         n, k, first + k || ' 00:00Z', first + k + 1 || ' 00:00Z');
        end loop;
        commit;
      end loop;
    end $$`);
  await runCli(['migrate', 'up', '--state-only'], { url: database.url });
  const table = {
    schema: 'public',
    name: 'sensors_sensorreading',
    qualified: 'public.sensors_sensorreading',
  };
  const source = { table, aggregatesQualified: 'public.sensors_sensoraggregate' } as Source;
  const [row] = await database.sql`select 'sensors_sensorreading'::regclass::oid::text as id`;
  const hour = Date.parse(NOW) / 3_600_000;
  await database.sql.begin(async (sql) => {
    for (const step of setupSteps(source, { id: row?.id } as SourceState, hour, []))
      await sql.unsafe(step.sql);
  });
  await database.sql.unsafe(`do $$
    begin
      for k in 0 .. 23 loop
        insert into sensors_sensorreading (device_id, "timestamp", value)
        select 1, '2012-07-01Z'::timestamptz + n * interval '5 hours', n % 64 from generate_series(k * ${HOURS / 24} + 1, (k + 1) * ${HOURS / 24}) n;
        commit;
      end loop;
    end $$`);
}, 300_000);
afterAll(async () => {
  await database?.drop();
  await server?.stop();
}, 300_000);

it('counts 5,000 leaves, or single hours of each, in one transaction with the locks there are by default', async () => {
  const { sql } = database;
  const held = () => sql`select count(*)::int as held from pg_locks where locktype = 'relation'`;
  const count = (relation: string) =>
    sql.begin(async (transaction) => {
      const [row] = await transaction.unsafe(
        `select count(*)::int as hours, sum(reading_count)::int as n, sum(value_sum) as total from ${relation}`,
      );
      const [locks] = await held();
      expect(locks?.held).toBeLessThan(1000);
      return row;
    });
  const truth = { hours: HOURS, n: HOURS, total: HOURS * 31.5 };
  // What the function goes round: one statement that locks every leaf.
  await expect(sql`select count(*) from sensors_sensorreading where device_id = 1`).rejects.toMatchObject({
    code: '53200',
  });
  // Set up, and never refreshed: everything is pending.
  expect(await count(LIVE)).toEqual(truth);
  // As if it had been counted before the readings came: the log alone knows of them.
  await sql`delete from sensordb.aggregate_pending`;
  expect(
    await sql`select sensordb.unsettled_ranges(id)::text as ranges from sensordb.aggregate_source`,
  ).toEqual([{ ranges: '{["2026-03-10 12:00:00+00",)}' }]);
  expect(await count(LIVE)).toEqual(truth);
  await sql`delete from sensordb.aggregate_change`;
  expect(await count(LIVE)).toMatchObject({ hours: 0 });
}, 120_000);
