import { afterAll, beforeAll, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const NOW = '2026-03-10T12:00:00Z';

const FEW = 5;
const MANY = 200;

const databases = new Map<number, TestDatabase>();
beforeAll(async () => {
  for (const count of [FEW, MANY]) databases.set(count, await makeTable(count));
});
afterAll(() => Promise.all([...databases.values()].map((database) => database.drop())));

/** Makes a table of so many daily leaves up to the present one, and rows in DEFAULT. */
async function makeTable(count: number): Promise<TestDatabase> {
  const database = await createDatabase();
  await database.sql.unsafe(`
    create table device (id int primary key);
    insert into device values (1);
    create table readings (id bigint, device_id int references device, at timestamptz, primary key (id, at))
      partition by range (at);
    create index on readings using brin (at);
    do $$
      declare
        day date;
      begin
        for n in 0 .. ${count - 1} loop
          day := date '2026-03-10' - n;
          execute format('create table readings_%s partition of readings for values from (%L) to (%L)',
                         to_char(day, 'YYYY_MM_DD'), day || ' 00:00Z', day + 1 || ' 00:00Z');
        end loop;
      end $$;
    create table readings_default partition of readings default;
    insert into readings select n, 1, timestamptz '2024-01-01Z' + n * interval '10 minutes' from generate_series(1, 200) n`);
  return database;
}

// In this order: what a command leaves is what the next one begins with.
it.each([
  ['ensure', ['ensure', '--days', '2']],
  ['detach', ['detach', 'readings_2026_03_06', 'readings_2026_03_07']],
  ['attach', ['attach', 'readings_2026_03_06', 'readings_2026_03_07']],
  ['repair', ['repair']],
  ['drop', ['drop', 'readings_2026_03_06', 'readings_2026_03_07', '--yes']],
  ['drain', ['drain']],
  ['list', ['list']],
  ['ensure with nothing to do', ['ensure', '--days', '2']],
])('%s sends as many statements at 5 leaves as at 200', async (what, words) => {
  const sent = new Map<number, readonly string[]>();
  for (const count of [FEW, MANY]) {
    const database = databases.get(count) as TestDatabase;
    if (what === 'repair') await drift(database);
    const proxy = await startProxy(database.url);
    const result = await runJson(proxy, ['partitions', ...words, '--table', 'readings'], { now: NOW });
    await proxy.close();
    expect(result, JSON.stringify(result)).toMatchObject({ exitCode: 0, error: null });
    sent.set(count, proxy.statements.filter(isWork).map(firstWords));
  }
  expect(sent.get(MANY)).toEqual(sent.get(FEW));
  expect(sent.get(FEW)?.length).toBeGreaterThan(5);
});

async function drift({ sql }: TestDatabase): Promise<void> {
  await sql.unsafe(`alter table readings_2026_03_06 replica identity full;
    alter table readings_2026_03_07 replica identity full`);
}

/** How often a wait looks around depends on who is there, such as autovacuum. */
function isWork(text: string): boolean {
  return !/pg_prepared_xacts|waitstart/.test(text);
}

function firstWords(text: string): string {
  const words = text
    .replaceAll(/^--.*$/gm, '')
    .trim()
    .split(/\s+/);
  return words.slice(0, 4).join(' ').replaceAll(/\d+/g, 'N'); // OIDs differ.
}
