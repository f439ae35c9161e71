import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { interruption } from '../../src/cli/signals.ts';
import { runCli } from '../support/cli.ts';
import { liveDatabase, NOW, relations } from '../support/live.ts';
import { startWatchfulServer, type WatchfulServer } from '../support/lock-log.ts';
import { type ProxyHooks, startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const [ONE, TWO, THREE] = [1, 2, 3].map((month) => `sensors_sensorreading_2025_0${month}`) as [
  string,
  string,
  string,
];

const SCENES: readonly (readonly [string, boolean, readonly string[]])[] = [
  ['detach beside DEFAULT', true, ['detach', ONE, TWO]],
  ['detach CONCURRENTLY', false, ['detach', ONE, TWO]],
  ['attach', true, ['attach', THREE]],
  ['drop', true, ['drop', TWO, THREE, '--yes']],
  ['drain', true, ['drain']],
  ['repair', true, ['repair']],
];

let server: WatchfulServer;
const templates = new Map<boolean, string>();
beforeAll(async () => {
  server = await startWatchfulServer();
  for (const hasDefault of [true, false]) templates.set(hasDefault, await makeTemplate(hasDefault));
});
afterAll(() => server.stop());

/** Two leaves of which one lacks an index, one that is detached, and rows in DEFAULT. */
async function makeTemplate(hasDefault: boolean): Promise<string> {
  const database = await liveDatabase(server.url);
  const { sql } = database;
  if (!hasDefault) await sql.unsafe('drop table sensors_sensorreading_default');
  const run = (words: readonly string[]) => runCli(['partitions', ...words], { url: database.url, now: NOW });
  await run(['ensure', '--from', '2025-01', '--until', '2025-04']);
  await run(['detach', THREE]);
  await sql.unsafe(`alter table ${ONE} replica identity full;
    create index on only sensors_sensorreading (value)`);
  await sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
    select 1, timestamptz ${hasDefault ? "'2024-12-20Z'" : "'2025-01-01Z'"} + n * interval '1 day', n
      from generate_series(1, 50) n`);
  await database.leave();
  return database.name;
}

const openDatabase = (hasDefault: boolean) =>
  createDatabase({ server: server.url, template: templates.get(hasDefault) ?? '' });

/** What the database is left with; names that count up are as those of a run that nobody disturbed. */
async function endState(database: TestDatabase): Promise<unknown> {
  const { sql } = database;
  return {
    relations: await relations(database),
    constraints: [
      ...(await sql`select conname, conrelid::regclass::text, convalidated from pg_constraint
        where connamespace = 'public'::regnamespace order by 1, 2`),
    ],
    identities: [
      ...(await sql`select relname, relreplident from pg_class where relkind = 'r' and
        relnamespace = 'public'::regnamespace order by 1`),
    ],
    invalid: [...(await sql`select indexrelid::regclass::text from pg_index where not indisvalid`)],
    noted: [...(await sql`select leaf_name, state from sensordb.detached_leaf order by 1, 2`)],
    rows: [
      ...(await sql`select tableoid::regclass::text, count(*)::int4 from sensors_sensorreading group by 1 order by 1`),
    ],
    locks: [
      ...(await sql`select classid from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`),
    ],
    unfinished: [...(await sql`select command from sensordb.run_log where exit_code is null`)],
  };
}

const WRITES = /^(alter|drop|lock|vacuum|commit|create index)/;

/** Chooses one statement of each kind that changes something, by its first words; a COMMIT by those of what it commits. */
function chooseStatements(statements: readonly string[]): readonly (readonly [number, string])[] {
  const start = (text = '') =>
    text
      .replaceAll(/^--.*$/gm, '')
      .trim()
      .split(/\s+/)
      .slice(0, 2)
      .join(' ');
  const kinds = new Map<string, readonly [number, string]>();
  for (const [index, text] of statements.entries()) {
    if (!WRITES.test(start(text))) continue;
    const kind = text === 'commit' ? `commit of ${start(statements[index - 1])}` : start(text);
    if (!kinds.has(kind)) kinds.set(kind, [index, text]);
  }
  return [...kinds.values()];
}

describe.each(SCENES)('%s that is interrupted', (_what, hasDefault, words) => {
  const argv = ['partitions', ...words, '--json'];

  it('after any statement ends with 130, and the next run makes it good', { timeout: 180_000 }, async () => {
    const rehearsal = await openDatabase(hasDefault);
    const watched = await startProxy(rehearsal.url);
    const undisturbed = await runCli(argv, { url: watched.url, now: NOW });
    await watched.close();
    expect([undisturbed.exitCode, undisturbed.stderr]).toEqual([0, '']);
    const expected = await endState(rehearsal);
    await rehearsal.drop();

    const chosen = chooseStatements(watched.statements);
    expect(chosen.length).toBeGreaterThan(3);
    for (const [index, text] of chosen) {
      const where = `${index + 1}: ${text
        .replaceAll(/^--.*$/gm, '')
        .trim()
        .slice(0, 70)}`;
      const database = await openDatabase(hasDefault);
      const controller = new AbortController();
      const after: ProxyHooks['after'] = ({ number }) => {
        if (number === index + 1) controller.abort(interruption('SIGINT'));
      };
      const proxy = await startProxy(database.url, { after });
      const { exitCode, json } = await runCli(argv, { url: proxy.url, now: NOW, signal: controller.signal });
      await proxy.close();
      // What is interrupted when its last work is done is done.
      expect([0, 130], `${where}: ${JSON.stringify(json())}`).toContain(exitCode);
      expect(json().error?.code ?? null, where).toBe(exitCode === 0 ? null : 'interrupted');
      const again = await runCli(argv, { url: database.url, now: NOW });
      expect(again.exitCode, `${where}: ${again.stdout}`).toBe(0);
      expect(await endState(database), where).toEqual(expected);
      await database.drop();
    }
  });
});
