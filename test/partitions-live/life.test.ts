import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fire, openFire } from '../support/fire.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import type { TestDatabase } from '../support/server.ts';

const LEAVES = [1, 2, 3, 4, 5, 6].map((month) => `sensors_sensorreading_2025_0${month}`);
const CURRENT = 'sensors_sensorreading_2026_03';
const DEFAULT = 'sensors_sensorreading_default';

/** The rows of the past, which the writers do not touch: so many in each leaf, or in DEFAULT. */
const ROWS = 500;

let database: TestDatabase;
let fire: Fire;
beforeEach(async () => {
  database = await liveDatabase();
});
afterEach(async () => {
  await fire.stop(); // A test that fails leaves it open.
  await database.drop();
});

async function run(words: readonly string[]) {
  const result = await runJson(database, ['partitions', ...words, '--wait', '2min'], { now: NOW });
  expect(result, words.join(' ')).toMatchObject({ exitCode: 0, ok: true, changed: true, error: null });
  return result.data;
}

async function attached(): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'sensors_sensorreading'::regclass and not i.inhdetachpending order by 1`;
  return rows.map(({ name }) => name);
}

async function fill(from: string, until: string): Promise<void> {
  await database.sql`
    insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, ${from}::timestamptz + (${until}::timestamptz - ${from}::timestamptz) * n / ${ROWS}, -n
      from generate_series(0, ${ROWS - 1}::int) as n`;
}

async function countBefore(instant: string): Promise<number> {
  const [row] = await database.sql<{ count: number }[]>`
    select count(*)::int4 as count from sensors_sensorreading where timestamp < ${instant}`;
  return row?.count ?? 0;
}

describe.each([
  ['with DEFAULT', true],
  ['without DEFAULT', false],
])('the life of six leaves under writers and a reader, %s', (_what, hasDefault) => {
  it('fails no write, loses none, and comes to its end', { timeout: 240_000 }, async () => {
    if (!hasDefault) await database.sql.unsafe(`drop table ${DEFAULT}`);
    const others = [CURRENT, ...(hasDefault ? [DEFAULT] : [])];
    fire = openFire(database.url, 1, {
      at: `'${NOW}'`,
      reader: { openMs: 600, pauseMs: 150 },
    });

    expect((await run(['ensure', '--from', '2025-01', '--until', '2025-07'])).created).toEqual(LEAVES);
    await fill('2025-01-01Z', '2025-07-01Z');
    expect((await run(['detach', '--before', '2025-07-01'])).detached).toEqual(LEAVES);
    expect([await attached(), await countBefore('2026-01-01Z')]).toEqual([others, 0]);
    expect((await run(['attach', ...LEAVES])).attached).toEqual(LEAVES);
    expect([await attached(), await countBefore('2026-01-01Z')]).toEqual([[...LEAVES, ...others], ROWS]);
    expect((await run(['drop', '--before', '2025-07-01', '--yes'])).dropped).toEqual(LEAVES);
    expect([await attached(), await countBefore('2026-01-01Z')]).toEqual([others, 0]);
    const drained = hasDefault ? LEAVES.slice(0, 2) : [];
    if (hasDefault) {
      await fill('2025-01-01Z', '2025-03-01Z');
      expect((await run(['drain'])).drained.map(({ name }: { name: string }) => name)).toEqual(drained);
      expect(await countBefore('2026-01-01Z')).toBe(ROWS);
      expect(await database.sql`select from sensors_sensorreading_default`).toHaveLength(0);
    }

    const { sentRows, failures, reads } = await fire.stop();
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(1);
    const stored = await database.sql`
      select count(*)::int4, count(distinct value)::int4 as "distinct", min(value), max(value)
        from sensors_sensorreading_2026_03`;
    expect(stored).toEqual([{ count: sentRows, distinct: sentRows, min: 1, max: sentRows }]);
    expect(await attached()).toEqual([...drained, ...others]);
    await expectNothingLeftOver(others.concat(drained));
  });
});

/** Expects of the catalog that nothing of the readings is there but the parent and these, each whole. */
async function expectNothingLeftOver(names: readonly string[]): Promise<void> {
  const tables = await database.sql<{ name: string }[]>`
    select relname as name from pg_class
     where relkind in ('r', 'p', 'f') and relnamespace = 'public'::regnamespace and relname like 'sensors_sensorreading%'
     order by 1`;
  expect(tables.map(({ name }) => name)).toEqual(['sensors_sensorreading', ...names].sort());
  const broken = await database.sql`
    select conname::text as name from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace
       and conrelid::regclass::text like 'sensors_sensorreading%'
    union all
    select indexrelid::regclass::text from pg_index where not indisvalid or not indisready
    union all
    select inhrelid::regclass::text from pg_inherits where inhdetachpending`;
  expect(broken).toEqual([]);
}
