import { readingsDatabase, refresh } from './recount.ts';
import type { TestDatabase } from './server.ts';

/** Values of a distribution, made of u and v: two independent numbers from 0 to 1; g is normal. */
const DISTRIBUTIONS = {
  'evenly spread': '100 * u',
  'normal, of both signs': 'g',
  'far from zero': '1000 + g',
  'all negative': '-273.15 - 40 * u',
  'over sixty powers of ten, of both signs': 'sign(g) * 10 ^ (60 * u - 30)',
  'with a long tail': '0.001 / (1 - u) ^ 1.5',
  'of two peaks and a gap': 'case when v < 0.3 then -5 + g / 10 else 80 + g end',
  'whole numbers, with zeroes': 'floor(4 * u) - 1',
  'all the same': '42.5',
  'with what is no number':
    "case when v < 0.05 then '-infinity' when v < 0.1 then 'NaN' when v > 0.97 then 'infinity' else 7 * g end",
  'below the smallest normal number': "g * '1e-310'::float8",
  'near the largest number': 'sign(g) * (1.7e308::float8 - u * 1e308)',
} as const;

/** Makes a database with readings of a device for each distribution, over days and two months, and their aggregates. */
export async function distributedDatabase(): Promise<{
  readonly database: TestDatabase;
  readonly seed: number;
}> {
  const database = await readingsDatabase();
  const seed = Math.random();
  await database.sql`select setseed(${seed})`;
  await database.sql`insert into sensors_device (id, name, serial_number) select n, n, 'x' || n from generate_series(100, 150) n`;
  for (const [at, value] of Object.values(DISTRIBUTIONS).entries()) {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, "timestamp", value)
      select ${100 + at}, t, ${value}
        from (select '2026-02-20Z'::timestamptz + random() ^ 4 * interval '18 days' as t, 0.999999 * random() as u, random() as v,
                     sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random()) as g
                from generate_series(1, 3000) offset 0) r`);
  }
  await refresh(database);
  return { database, seed };
}
