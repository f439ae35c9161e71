import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addReadings, readingsDatabase, refresh } from '../support/recount.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await readingsDatabase();
});
afterAll(() => database.drop());

/** What a view says beside what the readings say, in the same columns. */
const ofView = (unit: string) => {
  const column = unit === 'hour' ? 'hour' : unit;
  const view = { hour: 'hourly', day: 'daily', month: 'monthly' }[unit];
  return `select device_id, ${column}::timestamptz as period, reading_count, value_sum, value_avg, value_min, value_max, value_sxx,
    value_stddev_pop, value_stddev_samp, first_at, first_value, last_at, last_value from sensors_sensoraggregate_${view}`;
};
const ofReadings = (unit: string) => `
  select device_id, date_trunc('${unit}', "timestamp" at time zone 'UTC') at time zone 'UTC' as period, count(*) as reading_count,
    sum(value) as value_sum, avg(value) as value_avg, min(value) as value_min, max(value) as value_max,
    regr_sxx(value, value) as value_sxx, stddev_pop(value) as value_stddev_pop, stddev_samp(value) as value_stddev_samp,
    min("timestamp") as first_at, (array_agg(value order by "timestamp", id))[1] as first_value,
    max("timestamp") as last_at, (array_agg(value order by "timestamp" desc, id desc))[1] as last_value
  from sensors_sensorreading group by 1, 2`;

const EXACT = ['reading_count', 'value_min', 'value_max', 'first_at', 'first_value', 'last_at', 'last_value'];
const SUMS = ['value_sum', 'value_avg', 'value_sxx', 'value_stddev_pop', 'value_stddev_samp'];

/** The periods in which a view and the readings are at odds, sums by more than so much of themselves. */
async function differences(unit: string, tolerance: number, exactSums: readonly string[] = []) {
  const exact = (side: string) => [...EXACT, ...exactSums].map((column) => `${side}.${column}`).join();
  const close = SUMS.map(
    (column) => `(v.${column} is not distinct from r.${column}
      or abs(v.${column} - r.${column}) <= ${tolerance} * greatest(abs(v.${column}), abs(r.${column})))`,
  );
  return await database.sql.unsafe(`
    select coalesce(v.device_id, r.device_id) as device_id, coalesce(v.period, r.period) as period, to_jsonb(v) as view, to_jsonb(r) as readings
      from (${ofView(unit)}) v full join (${ofReadings(unit)}) r on v.device_id = r.device_id and v.period = r.period
     where row(${exact('v')}) is distinct from row(${exact('r')}) or (${close.join(' and ')}) is not true`);
}

describe.each(['hour', 'day', 'month'])('the view by the %s', (unit) => {
  beforeEach(() => database.sql`truncate sensors_sensorreading, sensors_sensoraggregate`);

  it('is what the readings say, their sums to the last bit where those have no rounding', async () => {
    await addReadings(database.sql, '2026-02-26T22:10:00Z', 60);
    await database.sql`
      insert into sensors_sensorreading (device_id, "timestamp", value)
      select 2, '2026-03-05Z'::timestamptz + n * interval '15 minutes', n % 4 from generate_series(0, 127) n`;
    await refresh(database);
    expect(await differences(unit, 1e-12, ['value_sum', 'value_avg'])).toEqual([]);
    const part = `where device_id = 2 and period >= '2026-03-05Z'`;
    const rows = await database.sql.unsafe(`select * from (${ofView(unit)}) v ${part} order by period`);
    if (unit === 'day') {
      expect(rows[0]).toMatchObject({ reading_count: '96', value_sum: 144, value_avg: 1.5, value_sxx: 120 });
    }
    expect(await database.sql.unsafe(`select from (${ofView(unit)}) v`)).not.toHaveLength(0);
  });

  it('is what the readings say, within 1e-9, of random values far from zero', async () => {
    const seed = Math.random();
    await database.sql`select setseed(${seed})`;
    await database.sql`
      insert into sensors_sensorreading (device_id, "timestamp", value)
      select 1 + n % 3, '2026-02-20Z'::timestamptz + random() * interval '30 days', 1000 + random() * 10 from generate_series(1, 4000) n`;
    await refresh(database, '2026-04-01T00:00:00Z');
    expect(await differences(unit, 1e-9), `seed ${seed}`).toEqual([]);
  });

  it('takes periods at any distance', async () => {
    await database.sql`
      insert into sensors_sensorreading (device_id, "timestamp", value)
      select 1, t::timestamptz, 1 from unnest(array['infinity', '-infinity', '52217-05-05 05:05Z', '294276-12-31 23:59:59.999999Z',
        '4714-11-24 00:00Z BC', '4714-12-01 00:00Z BC', '1969-12-31 23:59:59.999999Z']) t`;
    await refresh(database);
    const [row] = await database.sql.unsafe(
      `select count(*)::int as periods, min(period)::text as min, max(period)::text as max from (${ofView(unit).replace('::timestamptz', '')}) v`,
    );
    expect(row).toEqual({ periods: 7, min: '-infinity', max: 'infinity' });
  });
});

describe('the views', () => {
  beforeEach(() => database.sql`truncate sensors_sensorreading, sensors_sensoraggregate`);

  async function addHours(hours: readonly (readonly [at: string, sum: string, sxx: string])[]) {
    for (const [at, sum, sxx] of hours) {
      await database.sql`
        insert into sensors_sensoraggregate (device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx, first_at, first_value,
                                             last_at, last_value, value_sketch)
        select 1, h, 2, ${sum}::text::float8, 1, 2, ${sxx}::text::float8, h, 1, h, 2, '{}'
          from (select ('2026-01-05 ' || ${at} || 'Z')::timestamptz) h (h)`;
    }
    const [day] = await database.sql`
      select value_sum, value_avg, value_sxx, value_stddev_pop from sensors_sensoraggregate_daily`;
    const months = await database.sql`
      select value_sum, value_avg, value_sxx, value_stddev_pop from sensors_sensoraggregate_monthly`;
    expect(months).toEqual([day]);
    return day as unknown as Record<string, number>;
  }
  const NAN = Number.NaN;
  const INF = Number.POSITIVE_INFINITY;

  it.each([
    [
      'sums that are no numbers',
      [
        ['00:00', '3', '1'],
        ['01:00', 'NaN', 'NaN'],
      ],
      [NAN, NAN, NAN, NAN],
    ],
    [
      'an infinite sum',
      [
        ['00:00', '3', '1'],
        ['01:00', 'Infinity', 'NaN'],
      ],
      [INF, INF, NAN, NAN],
    ],
    [
      'infinite sums of both signs',
      [
        ['00:00', '-Infinity', '0'],
        ['01:00', 'Infinity', '3'],
      ],
      [NAN, NAN, NAN, NAN],
    ],
    [
      'an infinite sum of squares',
      [
        ['00:00', '3', 'Infinity'],
        ['01:00', '5', '1'],
      ],
      [8, 2, INF, INF],
    ],
    [
      'sums that overflow together',
      [
        ['00:00', '1.7e308', '0'],
        ['01:00', '1.7e308', '0'],
      ],
      [NAN, NAN, 0, 0],
    ],
    [
      'sums of squares that overflow together',
      [
        ['00:00', '4', '1.7e308'],
        ['01:00', '4', '1.7e308'],
      ],
      [8, 2, NAN, NAN],
    ],
    [
      'the largest sum',
      [['00:00', '1.7976931348623157e308', '0']],
      [1.7976931348623157e308, 8.988465674311579e307, 0, 0],
    ],
    [
      'distances whose squares overflow',
      [
        ['00:00', '2e200', '0'],
        ['01:00', '6e200', '0'],
      ],
      [8e200, 2e200, NAN, NAN],
    ],
    [
      'sums so large that only their distance counts',
      [
        ['00:00', '2e150', '8'],
        ['01:00', '6e150', '0'],
      ],
      [8e150, 2e150, 4e300, 1e150],
    ],
    [
      'a sum so small that division would take it to nothing',
      [['00:00', '5e-324', '5e-324']],
      [5e-324, 0, 5e-324, 1.5717277847026285e-162],
    ],
  ] as const)('fail on nothing, and tell the truth, of %s', async (_, hours, [sum, avg, sxx, deviation]) => {
    const day = await addHours(hours);
    const near = (value: number) => (Number.isFinite(value) && value !== 0 ? expect.closeTo(1, 9) : value);
    const ratio = (value: number | undefined, wanted: number) =>
      Number.isFinite(wanted) && wanted !== 0 ? (value ?? NAN) / wanted : value;
    expect([
      ratio(day.value_sum, sum),
      ratio(day.value_avg, avg),
      ratio(day.value_sxx, sxx),
      ratio(day.value_stddev_pop, deviation),
    ]).toEqual([near(sum), near(avg), near(sxx), near(deviation)]);
  });

  it('are errors in PostgreSQL itself, which is why they scale such sums', async () => {
    for (const states of [`array[2, 1.7e308, 0]`, `array[2, 2e200, 0]`, `array[2, 4, 1.7e308]`]) {
      const merged = database.sql.unsafe(
        `select float8_combine(${states}::float8[], array[2, case when (${states})[2] = 2e200 then 6e200 else (${states})[2] end, (${states})[3]]::float8[])`,
      );
      await expect(merged).rejects.toMatchObject({ code: '22003' });
    }
    await expect(database.sql`select '5e-324'::float8 / 2`).rejects.toMatchObject({ code: '22003' });
  });

  it('give the same rows in any session, in days of UTC', async () => {
    await addReadings(database.sql, '2026-02-26T22:10:00Z', 60);
    await refresh(database);
    const rows = () =>
      database.sql.begin(async (sql) => {
        const days =
          await sql`select device_id, day::text as day, to_jsonb(d) - 'first_at' - 'last_at' as row from sensors_sensoraggregate_daily d order by 1, 2`;
        const months =
          await sql`select device_id, month::text as month from sensors_sensoraggregate_monthly order by 1, 2`;
        return [...days, ...months];
      });
    const inUtc = await rows();
    expect(inUtc).toHaveLength(3 * 4 + 3 * 2);
    for (const zone of ['Asia/Kolkata', 'Australia/Lord_Howe', 'Europe/Berlin']) {
      const other = database.connect();
      await other.unsafe(`set timezone to '${zone}'`);
      const days =
        await other`select device_id, day::text as day, to_jsonb(d) - 'first_at' - 'last_at' as row from sensors_sensoraggregate_daily d order by 1, 2`;
      const months =
        await other`select device_id, month::text as month from sensors_sensoraggregate_monthly order by 1, 2`;
      expect([...days, ...months]).toEqual(inUtc);
    }
  });

  it('find a device by the unique key, and a day or month of all devices by the index of hours', async () => {
    await database.sql`
      insert into sensors_sensoraggregate (device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx, first_at, first_value,
                                           last_at, last_value, value_sketch)
      select d, h, 1, 1, 1, 1, 0, h, 1, h, 1, '{655360001}'
        from generate_series('2026-01-01Z'::timestamptz, '2026-12-31Z', '1 hour') h, generate_series(1, 20) d
       order by h, d`;
    await database.sql`vacuum analyze sensors_sensoraggregate`;
    const plan = async (query: string): Promise<string> => {
      const lines = await database.sql.unsafe(`explain (costs off) ${query}`);
      return lines.map((line) => line['QUERY PLAN']).join('\n');
    };
    const daily = 'select device_id, day, value_sum from sensors_sensoraggregate_daily';
    const byDevice = await plan(`${daily} where device_id = 7 and day = '2026-05-05'`);
    expect(byDevice).toMatch(/_device_id_hour_key|_hour_idx/);
    expect(byDevice).not.toContain('Seq Scan');
    // Who asks for neither first nor last reads the table once.
    expect(byDevice.match(/ on sensors_sensoraggregate /g)).toHaveLength(1);
    expect(await plan(`${daily} where day >= '2026-05-05' and day < '2026-05-08'`)).toContain(
      '_day_brin_idx',
    );
    expect(await plan(`select * from sensors_sensoraggregate_monthly where month = '2026-05-01'`)).toContain(
      '_day_brin_idx',
    );
  });
});
