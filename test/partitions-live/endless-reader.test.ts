import type { Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { liveDatabase, NOW, until } from '../support/live.ts';
import { startWatchfulServer, type WatchfulServer } from '../support/lock-log.ts';
import { runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const leaf = (month: string): string => `sensors_sensorreading_${month}`;
const [ONE, TWO, THREE, FOUR] = ['2025_01', '2025_02', '2025_03', '2025_04'].map(leaf) as [
  string,
  string,
  string,
  string,
];

let server: WatchfulServer;
const templates: Record<string, string> = {};
beforeAll(async () => {
  server = await startWatchfulServer();
  templates['with DEFAULT'] = await makeTemplate(true);
  templates['without DEFAULT'] = await makeTemplate(false);
});
afterAll(() => server.stop());

/** Two leaves that have drifted, two that are detached, and rows in DEFAULT. */
async function makeTemplate(hasDefault: boolean): Promise<string> {
  const database = await liveDatabase(server.url);
  if (!hasDefault) await database.sql.unsafe('drop table sensors_sensorreading_default');
  await must(database, ['ensure', '--from', '2025-01', '--until', '2025-05']);
  await must(database, ['detach', THREE, FOUR]);
  for (const name of [ONE, TWO]) await database.sql.unsafe(`alter table ${name} replica identity full`);
  if (hasDefault) {
    await database.sql`insert into sensors_sensorreading (device_id, timestamp, value)
      select 1, timestamptz '2024-12-01Z' + n * interval '1 hour', n from generate_series(1, 100) n`;
  }
  await database.leave();
  return database.name;
}

async function must(database: TestDatabase, words: readonly string[]): Promise<void> {
  const { exitCode, error } = await runJson(database, ['partitions', ...words], { now: NOW });
  expect([exitCode, error], words.join(' ')).toEqual([0, null]);
}

const COMMANDS = {
  ensure: { words: ['ensure', '--from', '2025-06', '--until', '2025-08'], key: 'created' },
  detach: { words: ['detach', ONE, TWO], key: 'detached' },
  attach: { words: ['attach', THREE, FOUR], key: 'attached' },
  drop: { words: ['drop', ONE, TWO, '--yes'], key: 'dropped' },
  'drop of detached leaves': { words: ['drop', THREE, FOUR, '--yes'], key: 'dropped' },
  drain: { words: ['drain'], key: 'drained' },
  repair: { words: ['repair'], key: 'mended' },
} as const;

type Name = keyof typeof COMMANDS;

/** Each is read in a transaction that stays open. */
const READS = {
  'the parent': `select from sensors_sensorreading where timestamp >= '2026-03-01Z' and timestamp < '2026-04-01Z'`,
  'a leaf': `select from ${ONE}; select from ${THREE}`,
  DEFAULT: 'select from sensors_sensorreading_default',
} as const;

const JUNE_AND_JULY = ['2025_06', '2025_07'].map(leaf);

/** What each command gets done beside the reader; the rest of its work is blocked. */
const BESIDE: readonly (readonly [keyof typeof READS, string, Name, readonly string[], 0 | 5])[] = [
  ['the parent', 'with DEFAULT', 'ensure', JUNE_AND_JULY, 0],
  ['the parent', 'with DEFAULT', 'detach', [], 5],
  ['the parent', 'with DEFAULT', 'attach', [THREE, FOUR], 0],
  ['the parent', 'with DEFAULT', 'drop', [], 5],
  ['the parent', 'with DEFAULT', 'drop of detached leaves', [THREE, FOUR], 0],
  ['the parent', 'with DEFAULT', 'drain', [], 5],
  ['the parent', 'with DEFAULT', 'repair', [ONE, TWO], 0],
  ['a leaf', 'with DEFAULT', 'ensure', JUNE_AND_JULY, 0],
  ['a leaf', 'with DEFAULT', 'detach', [TWO], 5],
  ['a leaf', 'with DEFAULT', 'attach', [FOUR], 5],
  ['a leaf', 'with DEFAULT', 'drop', [TWO], 5],
  ['a leaf', 'with DEFAULT', 'drop of detached leaves', [FOUR], 5],
  ['a leaf', 'with DEFAULT', 'drain', [leaf('2024_12')], 0],
  ['a leaf', 'with DEFAULT', 'repair', [TWO], 5],
  ['DEFAULT', 'with DEFAULT', 'ensure', [], 5],
  ['DEFAULT', 'with DEFAULT', 'detach', [], 5],
  ['DEFAULT', 'with DEFAULT', 'attach', [], 5],
  ['DEFAULT', 'with DEFAULT', 'drop', [], 5],
  ['DEFAULT', 'with DEFAULT', 'drop of detached leaves', [THREE, FOUR], 0],
  ['DEFAULT', 'with DEFAULT', 'drain', [], 5],
  ['DEFAULT', 'with DEFAULT', 'repair', [ONE, TWO], 0],
  ['the parent', 'without DEFAULT', 'ensure', JUNE_AND_JULY, 0],
  // Nobody waits for somebody who only reads the parent, and has no snapshot any more.
  ['the parent', 'without DEFAULT', 'detach', [ONE, TWO], 0],
  ['the parent', 'without DEFAULT', 'attach', [THREE, FOUR], 0],
  ['the parent', 'without DEFAULT', 'drop', [], 5],
  ['a leaf', 'without DEFAULT', 'detach', [TWO], 5],
  ['a leaf', 'without DEFAULT', 'drop', [TWO], 5],
];

let database: TestDatabase;
let bystander: ReturnType<typeof startBystander>;
afterEach(async () => {
  await bystander.stop(); // A test that fails leaves it at work.
  await database.drop();
});

describe('beside a reader that never ends', () => {
  it.each(BESIDE)(
    'of %s, on a table %s, %s does %j and exits %i',
    async (read, shape, command, done, exits) => {
      database = await createDatabase({ server: server.url, template: templates[shape] ?? '' });
      const reader = database.connect();
      await reader.unsafe(`begin; ${READS[read]}`);
      // By the simple protocol, which keeps no snapshot: one that does would miss the rows that drain moves.
      const [session] = await reader.unsafe<{ pid: number }[]>('select pg_backend_pid() as pid');
      const pid = session?.pid ?? 0;
      // One that has begun just now might be done in a moment: he is asked beside.
      await until('he is older than a try', async () => {
        const [row] = await database.sql`
        select now() - xact_start > interval '200 ms' as old from pg_stat_activity where pid = ${pid}`;
        return row?.old === true;
      });
      bystander = startBystander(database.connect());
      const { words, key } = COMMANDS[command];
      const run = () => runJson(database, ['partitions', ...words, '--wait', '1s'], { now: NOW });

      const result = await run();
      expect(namesOf(result.data[key]), JSON.stringify(result)).toEqual(done);
      expect(result.exitCode).toBe(exits);
      if (exits === 5)
        expect(JSON.stringify(result)).toContain(`pid ${pid} (user postgres, application sensordb-test`);
      expect(await bystander.stop()).toEqual([]);
      expect((await server.readLog()).filter(({ holders }) => holders.includes(pid))).toEqual([]);

      // Once he has ended, a second run completes it.
      await reader.unsafe('commit');
      expect(await run()).toMatchObject({ exitCode: 0, error: null });
      await database.drop();
    },
  );
});

function namesOf(list: readonly (string | { readonly name: string })[]): readonly string[] {
  return [...new Set(list.map((item) => (typeof item === 'string' ? item : item.name)))];
}

/** Somebody who reads and writes, and may wait for nobody for longer than a few seconds. */
function startBystander(sql: Sql): { readonly stop: () => Promise<readonly string[]> } {
  let isOver = false;
  const failures: string[] = [];
  const loop = async () => {
    await sql.unsafe(`set statement_timeout to '5s'`);
    for (let round = 0; !isOver; round += 1) {
      for (const statement of [
        `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-02', ${round})`,
        `insert into sensors_device (name, serial_number) values ('new', 'n-${round}')`,
        'select count(*) from sensors_sensorreading',
        `update sensors_sensorreading set value = 0 where timestamp = '2026-03-02'`,
      ]) {
        await sql.unsafe(statement).catch((thrown: Error) => failures.push(thrown.message));
      }
    }
  };
  const done = loop();
  return {
    stop: async () => {
      isOver = true;
      await done;
      return failures;
    },
  };
}
