import { median, type Ran, row, runSensordb } from '../processes.ts';
import type { Arena } from './arena.ts';

/** The one statement that a DBA would write for the same columns, but for the sketch: that it is spared. */
const STATEMENT = `
  insert into sensors_sensoraggregate (device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx,
                                       first_at, first_value, last_at, last_value, value_sketch)
  select device_id, date_trunc('hour', timestamp), count(*), sum(value), min(value), max(value), regr_sxx(value, value),
         min(timestamp), (array_agg(value order by timestamp, id))[1],
         max(timestamp), (array_agg(value order by timestamp desc, id desc))[1], '{}'
    from sensors_sensorreading
   group by 1, 2
  on conflict (device_id, hour) do update
    set reading_count = excluded.reading_count, value_sum = excluded.value_sum, value_min = excluded.value_min,
        value_max = excluded.value_max, value_sxx = excluded.value_sxx, first_at = excluded.first_at,
        first_value = excluded.first_value, last_at = excluded.last_at, last_value = excluded.last_value`;

/** Takes away what sensordb knows of the readings, and the aggregates. */
async function empty({ sql }: Arena): Promise<void> {
  await sql.unsafe('truncate sensors_sensoraggregate');
  for (const event of ['insert', 'update', 'delete']) {
    await sql.unsafe(`drop trigger if exists sensordb_change_${event} on sensors_sensorreading`);
  }
  await sql.unsafe('drop schema if exists sensordb cascade');
  await sql.unsafe('checkpoint');
}

/** Times the first backfill beside the statement, turn by turn; leaves what the backfill made. Gives the median in seconds. */
export async function benchBackfill(arena: Arena, atLeast: number, rounds: number): Promise<number> {
  const statement: number[] = [];
  const backfill: Ran[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await empty(arena);
    const start = performance.now();
    await arena.sql.unsafe(STATEMENT);
    statement.push((performance.now() - start) / 1000);
    await empty(arena);
    backfill.push(await runSensordb(arena.url, ['aggregates', 'backfill', '--jobs', '2']));
  }
  const ours = median(backfill.map(({ seconds }) => seconds));
  const theirs = median(statement);
  const peak = Math.max(...backfill.map(({ peakMb }) => peakMb));
  row(
    `${(arena.rows / 1e6).toFixed(1)} million readings: first backfill, --jobs 2`,
    `${ours.toFixed(1)} s; one statement ${theirs.toFixed(1)} s`,
    `${(theirs / ours).toFixed(2)} × as fast (at least ${atLeast} ×)`,
  );
  row('peak memory of the process', `${peak.toFixed(0)} MB`, '(at most 120 MB)');
  return ours;
}
