import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distributedDatabase } from '../support/distributions.ts';
import { LIVE } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

const FRACTIONS = [0, 1e-9, 0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1];

let database: TestDatabase;
afterAll(() => database.drop());

/** What is more than 1 % from what percentile_disc says, of values of which each unit is a group. */
async function astray(percentiles: string, groups: string): Promise<readonly object[]> {
  return await database.sql.unsafe(`
    select k.*, r.value as wanted
      from (${percentiles}) k (device_id, period, fraction, value)
      full join (
        select device_id, ${groups} as period, fraction, percentile_disc(fraction) within group (order by value) as value
          from sensors_sensorreading, unnest(array[${FRACTIONS.join()}]::float8[]) fraction group by 1, 2, 3
      ) r on r.device_id = k.device_id and r.period = k.period and r.fraction = k.fraction
     where (k.value = r.value or abs(k.value - r.value) <= 0.01 * abs(r.value)) is not true`);
}

describe('percentiles of', () => {
  let seed = 0;
  beforeAll(async () => {
    ({ database, seed } = await distributedDatabase());
  });

  const EACH = `unnest(array[${FRACTIONS.join()}]::float8[]) fraction`;
  it.each([
    ['hours', 'sensors_sensoraggregate_hourly', 'hour', `date_trunc('hour', "timestamp", 'UTC')`],
    ['days', 'sensors_sensoraggregate_daily', 'day', `("timestamp" at time zone 'UTC')::date`],
    ['months', 'sensors_sensoraggregate_monthly', 'month', `date_trunc('month', "timestamp", 'UTC')::date`],
    ['hours as they are now', LIVE, 'hour', `date_trunc('hour', "timestamp", 'UTC')`],
  ])(
    '%s (%s) are within a hundredth of what percentile_disc says of their readings',
    async (_, relation, period, groups) => {
      for (const extremes of ['', ', value_min, value_max']) {
        const percentiles = `select device_id, ${period}, fraction, sensors_sketch_percentile(value_sketch, fraction${extremes}) from ${relation}, ${EACH}`;
        expect(await astray(percentiles, groups), `seed ${seed}`).toEqual([]);
      }
      if (relation === LIVE) return;
      for (const [column, fraction] of [
        ['p50', 0.5],
        ['p95', 0.95],
        ['p99', 0.99],
      ] as const) {
        const rows = await database.sql.unsafe(`select from ${relation} where value_${column} is distinct from
        sensors_sketch_percentile(value_sketch, ${fraction}, value_min, value_max)`);
        expect(rows).toEqual([]);
      }
      // The number is really another one than that of the raw rows.
      expect(
        await database.sql.unsafe(
          `select from ${relation} where value_p50 not in (value_min, value_max) limit 1`,
        ),
      ).toHaveLength(1);
    },
  );
});
