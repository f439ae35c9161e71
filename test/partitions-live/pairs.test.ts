import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { liveDatabase, NOW } from '../support/live.ts';
import { startWatchfulServer, type WatchfulServer } from '../support/lock-log.ts';
import { runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

/** How often each pair runs; more by hand, to hunt for what is rare. */
const ROUNDS = Number(process.env.PAIRS_ROUNDS ?? 1);
/** By how much one is later than the other follows from it; another one by hand, too. */
const SEED = Number(process.env.PAIRS_SEED ?? 1);

const TABLES = ['sensors_sensorreading', 'other'] as const;

/** The leaves 1 and 2 are attached, 3 and 4 detached; the work of some commands is on the same leaves. */
const COMMANDS: Readonly<Record<string, (table: string) => readonly string[]>> = {
  ensure: () => ['ensure', '--from', '2024-11', '--until', '2025-07'],
  'ensure --drain': () => ['ensure', '--from', '2024-11', '--until', '2025-07', '--drain'],
  detach: (table) => ['detach', `${table}_2025_01`, `${table}_2025_02`],
  attach: (table) => ['attach', `${table}_2025_03`, `${table}_2025_04`],
  drop: (table) => ['drop', `${table}_2025_02`, `${table}_2025_03`, '--yes'],
  drain: () => ['drain'],
  repair: () => ['repair'],
  list: () => ['list'],
};

const NAMES = Object.keys(COMMANDS);
const PAIRS = NAMES.flatMap((one, at) => NAMES.slice(at).map((two) => [one, two] as const));

let server: WatchfulServer;
let template: string;
beforeAll(async () => {
  server = await startWatchfulServer({ settings: { max_connections: '60' } });
  const database = await liveDatabase(server.url);
  await database.sql.unsafe(`
    create table other (like sensors_sensorreading including all, foreign key (device_id) references sensors_device)
      partition by range (timestamp);
    create table other_2026_03 partition of other for values from ('2026-03-01Z') to ('2026-04-01Z');
    create table other_default partition of other default`);
  for (const table of TABLES) {
    await must(database, table, ['ensure', '--from', '2025-01', '--until', '2025-05']);
    await must(database, table, ['detach', `${table}_2025_03`, `${table}_2025_04`]);
    await database.sql.unsafe(`
      alter table ${table}_2025_01 replica identity full;
      insert into ${table} (device_id, timestamp, value)
      select 1, timestamptz '2024-12-01Z' + n * interval '1 hour', n from generate_series(1, 300) n`);
  }
  await database.leave();
  template = database.name;
});
afterAll(() => server.stop());

async function must(database: TestDatabase, table: string, words: readonly string[]): Promise<void> {
  const { exitCode, error } = await run(database, table, words);
  expect([exitCode, error], `${table} ${words.join(' ')}`).toEqual([0, null]);
}

async function run(database: TestDatabase, table: string, words: readonly string[]) {
  return await runJson(database, ['partitions', ...words, '--table', table], { now: NOW });
}

/** A number from 0 up to 1 for each seed (mulberry32). */
function random(seed: number): number {
  let t = Math.imul((seed + 0x6d2b79f5) ^ ((seed + 0x6d2b79f5) >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
}

const TIMEOUT = { timeout: 60_000 + 10_000 * ROUNDS };

/** Starts two commands, one of them up to 150 ms after the other, and expects nothing but what is allowed of either. */
async function atOnce(
  database: TestDatabase,
  commands: readonly (readonly [string, readonly string[]])[],
  seed: number,
): Promise<readonly Result[]> {
  const shift = (random(seed) - 0.5) * 300;
  const results = await Promise.all(
    commands.map(async ([table, words], at) => {
      await sleep(Math.max(0, at === 0 ? shift : -shift));
      return await run(database, table, words);
    }),
  );
  for (const result of results) expectCivil(result);
  return results;
}

const wordsOf = (command: string, table: string) => COMMANDS[command]?.(table) ?? [];

describe('two commands at once', () => {
  it.each(PAIRS)(`%s and %s on one table, from seed ${SEED}`, TIMEOUT, async (one, two) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const database = await createDatabase({ server: server.url, template });
      const commands = [one, two].map((command) => [TABLES[0], wordsOf(command, TABLES[0])] as const);
      await atOnce(
        database,
        commands,
        SEED + PAIRS.length * round + NAMES.indexOf(one) * 8 + NAMES.indexOf(two),
      );
      // A plain second run of each, one after the other, completes what was busy; what is done stays done.
      for (const [table, words] of commands) {
        const again = await run(database, table, words);
        expectCivil(again);
        expect(again.exitCode, JSON.stringify(again)).not.toBe(5);
      }
      await expectWholeState(database);
      await database.drop();
    }
    expect(await server.deadlocks()).toEqual([]);
  });

  it.each(PAIRS)(`%s and %s on two tables, from seed ${SEED}`, TIMEOUT, async (one, two) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const database = await createDatabase({ server: server.url, template });
      const commands = [
        [TABLES[0], wordsOf(one, TABLES[0])],
        [TABLES[1], wordsOf(two, TABLES[1])],
      ] as const;
      const seed = SEED + PAIRS.length * round + NAMES.indexOf(two) * 8 + NAMES.indexOf(one);
      const results = await atOnce(database, commands, seed);
      // Nothing of one is the other's business: each ends as it does alone.
      expect(results.map(({ exitCode }) => exitCode)).toEqual([one, two].map(exitCodeAlone));
      await expectWholeState(database);
      await database.drop();
    }
    expect(await server.deadlocks()).toEqual([]);
  });
});

/** Two months of the range are those of detached leaves, whose names are taken. */
function exitCodeAlone(command: string): number {
  return command.startsWith('ensure') ? 3 : 0;
}

type Result = Awaited<ReturnType<typeof run>>;

/** Done, conflicts left, busy, or a leaf that the other one took away; but nothing failed. */
function expectCivil(result: Result): void {
  const text = JSON.stringify(result);
  expect([0, 2, 3, 5, 6], text).toContain(result.exitCode);
  expect(text).not.toMatch(/40P01|deadlock|\bat .*:\d+:\d+/);
  if (result.exitCode === 2) expect(text).toContain('unknown_leaf');
}

/** Expects that nothing is half done: what lies about is a leaf, or known to be detached, and whole. */
async function expectWholeState(database: TestDatabase): Promise<void> {
  for (const table of TABLES) {
    const listed = await run(database, table, ['list']);
    const { partitions } = listed.data;
    const detached = await database.sql<{ name: string }[]>`
      select leaf_name as name from sensordb.detached_leaf where parent_name = ${table} and state = 'detached'`;
    const states = new Set(partitions.map(({ state }: { state: string }) => state));
    expect([...states]).toEqual(['attached']);
    const known = [...partitions, ...detached].map(({ name }: { name: string }) => name);
    const there = await database.sql<{ name: string }[]>`
      select relname as name from pg_class
       where relkind in ('r', 'p') and relname ~ ${`^${table}_`} and relnamespace = 'public'::regnamespace`;
    expect(there.map(({ name }) => name).sort()).toEqual(known.sort());
  }
  const odd = await database.sql`
    select 'half detached ' || leaf_name as what from sensordb.detached_leaf where state = 'detaching'
    union all
    select 'no valid CHECK on ' || d.leaf_name from sensordb.detached_leaf d
     where d.state = 'detached' and not exists (
       select from pg_constraint k where k.conrelid = d.leaf_oid and k.conname = d.check_name and k.convalidated)
    union all
    select format('CHECK %s on %s', k.conname, k.conrelid::regclass) from pg_constraint k
      join pg_inherits i on i.inhrelid = k.conrelid where k.contype = 'c'
    union all
    select 'invalid index ' || indexrelid::regclass from pg_index where not (indisvalid and indisready)
    union all
    select 'advisory lock ' || classid from pg_locks
     where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`;
  expect(odd).toEqual([]);
}
