import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { differences, LIVE, readingsDatabase, refresh } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';
import { insertTwin, TWINS, turnTwin } from '../support/sketch.ts';

describe('a sketch is right', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await readingsDatabase();
  });
  afterAll(() => database.drop());

  it('of hours of more readings than one digit counts, by whichever way they are counted', async () => {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, "timestamp", value)
      select 2, '2026-03-08 05:00Z'::timestamptz + n * interval '0.4 seconds', case when n < 8500 then 20.5 else n end from generate_series(1, 8999) n`);
    expect(await differences(database.sql, LIVE)).toEqual([]);
    await refresh(database);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
    await database.sql`vacuum full sensors_sensorreading_2026_03`;
    await database.sql`update sensors_sensoraggregate set value_sketch = '{}' where device_id = 2`;
    await refresh(database);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
    const [row] =
      await database.sql`select value_p50, value_p95, value_p99 from sensors_sensoraggregate_daily where device_id = 2`;
    const wanted = { value_p50: 20.5, value_p95: 8550, value_p99: 8910 };
    for (const [column, value] of Object.entries(wanted)) {
      expect(Math.abs(Number(row?.[column]) / value - 1), column).toBeLessThan(0.01);
    }
  });

  it.each([
    ['an hour that was counted', '2026-03-09 05:00Z'],
    ['the open hour', '2026-03-10 12:00Z'],
  ])('of %s after a change that nothing else tells', async (_, from) => {
    await database.sql.unsafe(insertTwin(TWINS.first, 1, from));
    await refresh(database);
    const rest = async () => {
      const [row] = await database.sql.unsafe(
        `select to_jsonb(a) - 'value_sketch' as rest, value_sketch from sensors_sensoraggregate a where device_id = 1 and hour = '${from}'`,
      );
      return row;
    };
    const before = await rest();
    await database.sql.unsafe(turnTwin('sensors_sensorreading', 1, from));
    expect(await differences(database.sql, LIVE)).toEqual([]);
    expect(await runJson(database, ['aggregates', 'refresh'], { now: NOW })).toMatchObject({
      exitCode: 0,
      data: { written: 1 },
    });
    const after = await rest();
    expect(after?.rest).toEqual(before?.rest);
    expect(after?.value_sketch).not.toEqual(before?.value_sketch);
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
  });

  it('of sums that overflow, and of what is no number', async () => {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, "timestamp", value) values
      (3, '2026-03-08 05:00Z', 1.7e308), (3, '2026-03-08 05:01Z', 1.7e308), (3, '2026-03-08 05:02Z', 1.1e308), (3, '2026-03-08 05:03Z', 1e308),
      (3, '2026-03-08 06:00Z', 'infinity'), (3, '2026-03-08 06:01Z', '-infinity'), (3, '2026-03-08 06:02Z', 'NaN'), (3, '2026-03-08 06:03Z', '-0')`);
    await refresh(database);
    const hours = await database.sql`select value_sum, value_p50 from sensors_sensoraggregate_hourly
      where device_id = 3 and hour >= '2026-03-08 05:00Z' order by hour`;
    expect(hours).toMatchObject([
      { value_sum: Number.NaN, value_p50: expect.any(Number) },
      { value_sum: Number.NaN, value_p50: 0 },
    ]);
    expect(Math.abs(Number(hours[0]?.value_p50) / 1.1e308 - 1)).toBeLessThan(0.01);
  });
});
