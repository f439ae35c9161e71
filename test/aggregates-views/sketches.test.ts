import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { distributedDatabase } from '../support/distributions.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  ({ database } = await distributedDatabase());
});
afterAll(() => database.drop());

describe('sketches', () => {
  const MERGED =
    'select device_id, sensors_sketch_merge(value_sketch) as sketch from sensors_sensoraggregate group by 1';
  const COUNTED = `select r.device_id, k.value_sketch as sketch
    from (select device_id, array_agg(value) as found from sensors_sensorreading group by 1) r, lateral sensors_sketch_of(r.found) k`;

  it.each([
    ['day', 'sensors_sensoraggregate_daily', `("timestamp" at time zone 'UTC')::date`],
    ['month', 'sensors_sensoraggregate_monthly', `date_trunc('month', "timestamp", 'UTC')::date`],
  ])('of hours merge into that of counting the %s at once', async (unit, view, period) => {
    const other = await database.sql.unsafe(`
      select from ${view} s
        full join (
          select r.device_id, r.period, k.value_sketch, n
            from (select device_id, ${period} as period, array_agg(value) as found, count(*) as n from sensors_sensorreading group by 1, 2) r,
                 lateral sensors_sketch_of(r.found) k
        ) r on r.device_id = s.device_id and r.period = s.${unit}
       where r.value_sketch is distinct from s.value_sketch`);
    expect(other).toEqual([]);
    expect(await database.sql.unsafe(`select from ${view}`)).not.toHaveLength(0);
  });

  it('merge into the same in parallel workers', async () => {
    const session = database.connect();
    await session.unsafe(
      `set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0; set parallel_tuple_cost = 0`,
    );
    const plan = await session.unsafe(`explain (verbose) ${MERGED}`);
    expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain('PARTIAL sensors_sketch_merge');
    expect(await session.unsafe(`(${MERGED}) except (${COUNTED})`)).toEqual([]);
    expect(await session.unsafe(`(${COUNTED}) except (${MERGED})`)).toEqual([]);
  });

  it.each([
    [
      'thousands of buckets',
      'select array[10 ^ (n / 50.0::float8)] as part from generate_series(-12000, 12000) n',
    ],
    [
      'counts of several digits',
      'select array_fill((n % 3)::float8, array[n * 100]) as part from generate_series(1, 200) n',
    ],
    [
      'a count of exactly one more digit',
      'select array_fill(7::float8, array[2048]) as part from generate_series(1, 2) n',
    ],
    [
      'many small ones',
      'select array[n % 1000, n % 7, -n]::float8[] as part from generate_series(1, 20000) n',
    ],
  ])('of %s are put together right', async (_, parts) => {
    const [row] = await database.sql.unsafe(`
      with part as materialized (${parts}),
      value as materialized (select array_agg(v) as found from part, unnest(part) v)
      select (select sensors_sketch_merge(k.value_sketch) from part p, lateral sensors_sketch_of(p.part) k)
               = (select k.value_sketch from value, lateral sensors_sketch_of(value.found) k) as "isSame",
             (select k.value_sketch from value, lateral sensordb.sketch_of(value.found) k)
               = (select k.value_sketch from value, lateral sensors_sketch_of(value.found) k) as "isCounted",
             (select cardinality(value.found) from value)
               = (select sum((e & 4095)::bigint << 12 * (e >> 12 & 3)) from value, lateral sensors_sketch_of(value.found) k, unnest(k.value_sketch) e)
               as "isWhole"`);
    expect(row).toEqual({ isSame: true, isCounted: true, isWhole: true });
  });

  it('put every number there is into a bucket of 1 %, in the order of numbers', async () => {
    const seed = Math.random();
    await database.sql`select setseed(${seed})`;
    const rows = await database.sql.unsafe(`
      with value as materialized (
        select sign(random() - 0.5) * (1 + random()) * 2::float8 ^ floor(random() * 2045 - 1022) as v from generate_series(1, 20000)
        union all select 2::float8 ^ n from generate_series(-1074, 1023) n
        union all select unnest('{0,-0,1,-1,5e-324,-5e-324,2.2250738585072014e-308,1.7976931348623157e308,-1.7976931348623157e308}'::float8[])
        union all select unnest('{NaN,Infinity,-Infinity}'::float8[])
      ),
      bucket as materialized (
        select v, k.value_sketch[1] >> 14 as bucket, k.value_sketch = s.value_sketch and cardinality(k.value_sketch) = 1 as same,
               sensors_sketch_percentile(k.value_sketch, 0.5) as middle
          from value, lateral sensordb.sketch_of(array[v]) k, lateral sensors_sketch_of(array[v]) s
      )
      select b.v from (select b.*, lag(b.bucket) over (order by b.v) as before from bucket b) b
       where (same and (b.before is null or b.before <= b.bucket)
              and (b.middle = b.v or abs(b.middle - b.v) <= 0.01 * abs(b.v))) is not true`);
    expect(rows, `seed ${seed}`).toEqual([]);
  });

  it('are no longer than the buckets of their range, and stay packed', async () => {
    const [row] = await database.sql`
      select cardinality(d.value_sketch) as decade, cardinality(s.value_sketch) as "same", cardinality(w.value_sketch) as whole
        from sensors_sketch_of((select array_agg(1 + 9 * n / 100000.0::float8) from generate_series(1, 100000) n)) d,
             sensors_sketch_of(array_fill(20.5::float8, array[3600])) s,
             sensors_sketch_of((select array_agg(x * 2::float8 ^ (n / 34.7)) from generate_series(-37000, 35500) n, unnest('{1,-1}'::int[]) x)) w`;
    expect([row?.decade, row?.same]).toEqual([116, 1]);
    expect(row?.whole).toBeLessThan(2 * 72_712);
  });

  it('have no percentile of nothing, and none but between 0 and 1', async () => {
    const [row] = await database.sql`
      select sensors_sketch_percentile(null, 0.5) as "ofNull", sensors_sketch_percentile('{}', 0.5) as "ofEmpty",
             sensors_sketch_percentile('{655360001}', null) as "byNull", sensors_sketch_merge(null::int[]) as "ofNone",
             (select sensors_sketch_merge(value_sketch) from sensors_sensoraggregate where false) as "ofNoRow"`;
    expect(row).toEqual({ ofNull: null, ofEmpty: null, byNull: null, ofNone: null, ofNoRow: null });
    for (const fraction of ['-0.001', '1.001', "'NaN'"]) {
      for (const query of [
        `select sensors_sketch_percentile('{655360001}', ${fraction}::float8)`,
        `select percentile_disc(${fraction}::float8) within group (order by v) from (values (1)) v (v)`,
      ]) {
        await expect(database.sql.unsafe(query)).rejects.toMatchObject({ code: '22003' });
      }
    }
  });

  it('give the extremes themselves, and nothing beyond them', async () => {
    const [row] = await database.sql`
      select sensors_sketch_percentile(k.value_sketch, 0, 10.1, 10.2) as "lowest", sensors_sketch_percentile(k.value_sketch, 1, 10.1, 10.2) as "highest",
             sensors_sketch_percentile(k.value_sketch, 0.5, 10.1, 10.11) as "atMost", sensors_sketch_percentile(k.value_sketch, 0.5, 10.19, 10.2) as "atLeast",
             sensors_sketch_percentile(k.value_sketch, 0.5) as "middle"
        from sensors_sketch_of('{10.1,10.15,10.2}') k`;
    expect(row).toMatchObject({ lowest: 10.1, highest: 10.2 });
    const { atMost, atLeast, middle } = row as unknown as Record<'atMost' | 'atLeast' | 'middle', number>;
    expect([atMost, atLeast]).toEqual([Math.min(10.11, middle), Math.max(10.19, middle)]);
    expect(middle).not.toBe(10.15);
  });

  it('are merged for those alone who ask for them', async () => {
    const plan = async (columns: string, view: string) => {
      const lines = await database.sql.unsafe(
        `explain (verbose) select ${columns} from sensors_sensoraggregate_${view}`,
      );
      return lines.map((line) => line['QUERY PLAN']).join('\n');
    };
    for (const view of ['daily', 'monthly']) {
      expect(
        await plan('device_id, reading_count, value_avg, value_stddev_samp, value_max', view),
      ).not.toContain('sketch');
      expect(await plan('value_p95', view)).toContain('sensors_sketch_merge(a.value_sketch)');
    }
    expect(await plan('device_id, value_avg', 'hourly')).not.toContain('sketch');
  });
});
