import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { addReadings, differences, readingsDatabase } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

/** The hour that is not over: what is written there stands in no log. */
const OPEN_HOUR = '2026-03-10T12:00:00Z';

describe('a refresh with readings in the open hour', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await readingsDatabase();
    await addReadings(database.sql, '2026-03-10T08:00:00Z', 5);
    await refresh();
  });
  afterAll(() => database.drop());

  async function refresh() {
    const result = await runJson(database, ['aggregates', 'refresh'], { now: NOW });
    expect(result).toMatchObject({ exitCode: 0, error: null });
    expect(await differences(database.sql, 'sensors_sensoraggregate')).toEqual([]);
    return result;
  }

  it('counts nothing while they stay as they are', async () => {
    const [open] = await database.sql`
      select count(*)::int as readings from sensors_sensorreading where timestamp >= ${OPEN_HOUR}`;
    expect(open?.readings).toBeGreaterThan(0);
    expect(await refresh()).toMatchObject({ changed: false, data: { counted: 0, written: 0 } });
  });

  it.each([
    [
      'a new reading',
      `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-10 12:59+00', 5)`,
    ],
    [
      'the readings of a new device',
      `insert into sensors_device (id, name, serial_number) values (99, 'n', 'n');
       insert into sensors_sensorreading (device_id, timestamp, value) values (99, '2026-03-10 12:01+00', 5)`,
    ],
    [
      'a value that is another',
      `update sensors_sensorreading set value = value + 0.125 where device_id = 99`,
    ],
    ['a deleted reading', `delete from sensors_sensorreading where device_id = 99`],
    [
      'a reading of the future',
      `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-07-10', 5)`,
    ],
    [
      'an aggregate that somebody changed',
      `update sensors_sensoraggregate set last_value = 4711 where hour = '${OPEN_HOUR}' and device_id = 1`,
    ],
    [
      'an aggregate that somebody deleted',
      `delete from sensors_sensoraggregate where hour = '${OPEN_HOUR}' and device_id = 2`,
    ],
  ])('sees %s', async (_what, change) => {
    await database.sql.unsafe(change);
    const { data } = await refresh();
    expect(data.written + data.removed).toBe(1);
    expect((await refresh()).data).toMatchObject({ counted: 0, written: 0, removed: 0 });
  });

  it('says at every run that their sums are too large', async () => {
    const values = [1, 2].map((minute) => `(3, '2026-03-10 12:0${minute}+00', 1.7e308)`);
    await database.sql.unsafe(
      `insert into sensors_sensorreading (device_id, timestamp, value) values ${values.join()}`,
    );
    for (let run = 1; run <= 2; run += 1) {
      const { exitCode, warnings } = await runJson(database, ['aggregates', 'refresh'], { now: NOW });
      expect(exitCode).toBe(0);
      expect(warnings.map(({ code }) => code)).toContain('sums_overflow');
    }
    await database.sql`delete from sensors_sensorreading where value > 1e300`;
  });

  it('is exact when they are too many to be compared first', async () => {
    await database.sql`
      insert into sensors_sensorreading (device_id, timestamp, value)
      select 1 + n % 3, ${OPEN_HOUR}::timestamptz + n * interval '1 second', n / 8.0 from generate_series(1, 3000) n`;
    expect((await refresh()).data.written).toBe(3);
    // They are counted, and found to be what is stored.
    expect((await refresh()).data).toMatchObject({ counted: 4, written: 0 });
  });
});
