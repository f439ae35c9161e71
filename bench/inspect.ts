import type { Sql } from 'postgres';
import { connectTo, withDatabase } from '../test/support/connect.ts';
import { startServer } from '../test/support/postgres.ts';
import { AS_SHIPPED, median, row, runBareNode, runSensordb } from './processes.ts';

// What `sensordb inspect` costs on 3,650 leaves with four indexes each, beside the same table with 12: whole processes, turn by turn,
// medians.
//
//   npm run bench:inspect

const ROUNDS = 7;
const MANY = 3650;
const FEW = 12;

/** Leaves a transaction: each takes a lock, and so do its indexes, and the lock table is finite. */
const LEAVES_A_TRANSACTION = 200;

async function makeLeaves(sql: Sql, leaves: number): Promise<void> {
  await sql.unsafe(`
    create table samples (id bigint not null, device_id bigint not null, "timestamp" timestamptz not null, value float8 not null)
      partition by range ("timestamp");
    create unique index on samples (id, "timestamp");
    create index on samples (device_id, "timestamp");
    create index on samples (value);
    create index on samples using brin ("timestamp")`);
  for (let at = 0; at < leaves; at += LEAVES_A_TRANSACTION) {
    await sql.unsafe(`do $$ begin
      for n in ${at}..${Math.min(at + LEAVES_A_TRANSACTION, leaves) - 1} loop
        execute format('create table samples_%s partition of samples for values from (%L) to (%L)', n,
                       date_trunc('day', now()) + (n - ${leaves - 30}) * interval '1 day',
                       date_trunc('day', now()) + (n - ${leaves - 31}) * interval '1 day');
        execute format('insert into samples_%s select i, i, date_trunc(''day'', now()) + (%s) * interval ''1 day'' + i * interval ''1 minute'', i from generate_series(1, 50) i', n, n - ${leaves - 30});
      end loop;
    end $$`);
  }
  // One statement for each, outside of a transaction.
  await sql.unsafe('vacuum analyze');
}

const server = await startServer({ settings: { ...AS_SHIPPED, timezone: 'UTC' } });
try {
  const admin = connectTo(server.url);
  const urls = { many: withDatabase(server.url, 'many'), few: withDatabase(server.url, 'few') };
  for (const [name, leaves] of [
    ['many', MANY],
    ['few', FEW],
  ] as const) {
    await admin.unsafe(`create database ${name}`);
    const sql = connectTo(urls[name]);
    await makeLeaves(sql, leaves);
    await sql.end();
  }
  await admin.end();
  const seconds: Record<'bare' | 'many' | 'few', number[]> = { bare: [], many: [], few: [] };
  let peak = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    seconds.bare.push(runBareNode());
    for (const name of ['many', 'few'] as const) {
      const ran = await runSensordb(urls[name], ['inspect', '--json'], [0, 3]);
      seconds[name].push(ran.seconds);
      if (name === 'many') peak = Math.max(peak, ran.peakMb);
    }
  }
  const [bare, many, few] = [median(seconds.bare), median(seconds.many), median(seconds.few)];
  row('what', 'measured', 'bound');
  row('---', '---', '---');
  row(
    `${MANY} leaves, four indexes each`,
    `${many.toFixed(2)} s`,
    `${(many / bare).toFixed(1)} × a bare Node (at most 3 s)`,
  );
  row(`${FEW} leaves`, `${few.toFixed(2)} s`, `${(few / bare).toFixed(1)} × a bare Node`);
  row('peak memory of the process', `${Math.round(peak)} MB`, '(at most 150 MB)');
} finally {
  await server.stop();
}
