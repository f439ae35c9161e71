import type { Sql, TransactionSql } from 'postgres';
import { expect } from 'vitest';
import { runCli } from './cli.ts';
import { liveDatabase, NOW } from './live.ts';
import type { TestDatabase } from './server.ts';
import { sketchOf } from './sketch.ts';

/** Makes a live database with three devices, and leaves for February and March 2026. */
export async function readingsDatabase(): Promise<TestDatabase> {
  const database = await liveDatabase();
  await database.sql.unsafe(`
    create table sensors_sensorreading_2026_02 partition of sensors_sensorreading for values from ('2026-02-01') to ('2026-03-01');
    insert into sensors_device (name, serial_number) values ('pump', 'p-1'), ('fan', 'f-1')`);
  return database;
}

/** Stores readings of every device, one in seven minutes, over so many hours; their values are sums of powers of two. */
export async function addReadings(sql: Sql | TransactionSql, from: string, hours: number): Promise<void> {
  await sql`
    insert into sensors_sensorreading (device_id, "timestamp", value)
    select d, ${from}::timestamptz + n * interval '7 minutes', (n * 37 % 64 - 20) / 8.0
      from generate_series(1, 3) d, generate_series(0, ${Math.ceil((hours * 60) / 7)}::int - 1) n`;
}

/** Brings the stored aggregates up to date, at noon of the tests' day. */
export async function refresh({ url }: TestDatabase, now: string = NOW): Promise<void> {
  const { exitCode, json } = await runCli(['aggregates', 'refresh', '--json'], { url, now });
  expect([exitCode, json().error]).toEqual([0, null]);
}

/** Where counting from the readings, and what a relation says, are at odds; sums may differ by 1e-9 of themselves. */
export function differences(sql: Sql | TransactionSql, relation: string, where = 'true') {
  return sql.unsafe<{ device_id: string; hour: string; what: string }[]>(`
    with stored as materialized (select * from ${relation} s where ${where}),
    fresh as materialized (
      select g.*, (select sum((r.value - g.value_avg) ^ 2) from unnest(g.vals) r (value)) as value_sxx, ${sketchOf('g.vals')} as value_sketch from (
        select device_id, date_trunc('hour', "timestamp" at time zone 'UTC') at time zone 'UTC' as hour, count(*) as reading_count,
               sum(value) as value_sum, avg(value) as value_avg, min(value) as value_min, max(value) as value_max,
               min("timestamp") as first_at, (array_agg(value order by "timestamp", id))[1] as first_value,
               max("timestamp") as last_at, (array_agg(value order by "timestamp" desc, id desc))[1] as last_value, array_agg(value) as vals
          from public.sensors_sensorreading r group by 1, 2
      ) g where ${where}
    )
    select coalesce(f.device_id, s.device_id) as device_id, coalesce(f.hour, s.hour)::text as hour,
           case when f.hour is null then 'extra' when s.hour is null then 'missing' else 'other' end as what
      from fresh f full join stored s on s.device_id = f.device_id and s.hour = f.hour
     where row(f.reading_count, f.value_min, f.value_max, f.first_at, f.first_value, f.last_at, f.last_value, f.value_sketch)
             is distinct from row(s.reading_count, s.value_min, s.value_max, s.first_at, s.first_value, s.last_at, s.last_value, s.value_sketch)
        or not (${close('sum')} and ${close('avg')} and ${close('sxx')})`);
}

// NaN equals NaN in PostgreSQL, and infinity itself; the difference of infinities is NaN, which is greater than any number.
function close(what: string): string {
  const [f, s] = [`f.value_${what}`, `s.value_${what}`];
  return `(${f} is not distinct from ${s} or abs(${f} - ${s}) <= 1e-9 * greatest(abs(${f}), abs(${s})))`;
}

/** The live function, over all time. */
export const LIVE = 'sensors_sensoraggregate_live()';
