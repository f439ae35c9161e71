import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli, spawnCli } from '../support/cli.ts';
import { expectHonest, phaseOf } from '../support/kills.ts';
import { liveDatabase, NOW, relations } from '../support/live.ts';
import { type PassingStatement, type StatementProxy, startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

/** A command that is disturbed over and over, each time from the same beginning. */
interface Scene {
  readonly words: readonly string[];
  readonly database: TestDatabase;
  /** Brings back the beginning. */
  readonly reset: () => Promise<unknown>;
}

const scenes: Scene[] = [];
beforeAll(async () => {
  const live = await liveDatabase();
  await live.sql`set client_min_messages to warning`;
  scenes.push({
    words: ['partitions', 'ensure', '--from', '2026-03-01', '--until', '2026-06-01', '--json'],
    database: live,
    reset: () =>
      live.sql.unsafe(`drop schema if exists sensordb cascade;
        drop table if exists sensors_sensorreading_2026_04, sensors_sensorreading_2026_05`),
  });
  const empty = await createDatabase();
  scenes.push({
    words: ['migrate', 'up', '--json'],
    database: empty,
    reset: () =>
      empty.sql.unsafe(
        'drop schema if exists sensordb cascade; drop schema public cascade; create schema public',
      ),
  });
});
afterAll(() => Promise.all(scenes.map(({ database }) => database.drop())));

/** What the database is left with: relations, history, and no lock of anybody's. */
async function endState({ database }: Scene): Promise<unknown> {
  const history = await database.sql`select schema_name, version, name, checksum from sensordb.migration
    order by 1, 2`;
  const locks = await database.sql`select classid from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  return { relations: await relations(database), history: [...history], locks: [...locks] };
}

/** Runs the scene's command once undisturbed; gives the statements it sends and the state it leaves. */
async function rehearse(scene: Scene) {
  await scene.reset();
  const proxy = await startProxy(scene.database.url);
  const { exitCode } = await runCli(scene.words, { url: proxy.url, now: NOW });
  await proxy.close();
  expect(exitCode).toBe(0);
  return { statements: proxy.statements, state: await endState(scene) };
}

async function throughProxy(
  scene: Scene,
  when: 'before' | 'after',
  number: number,
  disturb: (statement: PassingStatement) => void | Promise<void>,
  work: (proxy: StatementProxy) => Promise<void>,
): Promise<void> {
  await scene.reset();
  const proxy = await startProxy(scene.database.url, {
    [when]: (statement: PassingStatement) => (statement.number === number ? disturb(statement) : undefined),
  });
  await work(proxy);
  await proxy.close();
}

async function expectRecovery(scene: Scene, state: unknown, where: string): Promise<void> {
  const { exitCode, stdout } = await runCli([...scene.words, '--wait', '10s'], {
    url: scene.database.url,
    now: NOW,
  });
  expect([exitCode, stdout], where).toEqual([0, expect.anything()]);
  expect(await endState(scene), where).toEqual(state);
}

describe.each([0, 1])('a run that is disturbed (%s)', (at) => {
  it('is made good by the next run, wherever the connection broke', { timeout: 120_000 }, async () => {
    const scene = scenes[at] as Scene;
    const { statements, state } = await rehearse(scene);
    expect(statements.length).toBeGreaterThan(40);
    for (const [index, text] of oneOfEachKind(statements, at === 0 ? 6 : 1)) {
      // Before a statement is as after the one before it, but for the last answer, that to COMMIT above all.
      const when = text === 'commit' ? 'after' : 'before';
      const where = `cut ${when} ${index + 1}: ${text.slice(0, 60)}`;
      await throughProxy(
        scene,
        when,
        index + 1,
        ({ cut }) => cut(),
        async ({ url }) => {
          const result = await runCli(scene.words, { url, now: NOW });
          expectHonest(result, phaseOf(statements, index), where);
        },
      );
      await expectRecovery(scene, state, where);
    }
  });

  it('ends with an error when its server process is terminated', { timeout: 120_000 }, async () => {
    const scene = scenes[at] as Scene;
    const { statements, state } = await rehearse(scene);
    for (const [index, text] of oneOfEachKind(statements, 2)) {
      const where = `terminated at ${index + 1}: ${text.slice(0, 60)}`;
      const terminate = async ({ backendPid }: PassingStatement) => {
        await scene.database.sql`select pg_terminate_backend(${backendPid}, 5000)`;
      };
      await throughProxy(scene, 'before', index + 1, terminate, async ({ url }) => {
        const result = await runCli(scene.words, { url, now: NOW });
        expectHonest(result, phaseOf(statements, index), where);
      });
      await expectRecovery(scene, state, where);
    }
  });

  it('is made good by the next run after SIGKILL', { timeout: 120_000 }, async () => {
    const scene = scenes[at] as Scene;
    const { statements, state } = await rehearse(scene);
    const writes = /^(create|alter|insert|update|commit)/;
    const chosen = oneOfEachKind(statements, 2).filter(([, text]) => writes.test(text));
    for (const [index, text] of chosen) {
      const where = `killed at ${index + 1}: ${text.slice(0, 60)}`;
      let kill = () => {};
      await throughProxy(
        scene,
        'after',
        index + 1,
        () => kill(),
        async ({ url }) => {
          const run = spawnCli(scene.words, { url });
          kill = () => run.kill('SIGKILL');
          expect((await run.ended).exitCode, where).toBeNull();
        },
      );
      await expectRecovery(scene, state, where);
    }
  });
});

/** Chooses one statement of each kind, by its first words; a COMMIT by those of what it commits. */
function oneOfEachKind(statements: readonly string[], words: number): readonly (readonly [number, string])[] {
  const start = (text = '') =>
    text
      .replaceAll(/^--.*$/gm, '')
      .trim()
      .split(/\s+/)
      .slice(0, words)
      .join(' ');
  const kinds = new Map<string, readonly [number, string]>();
  for (const [index, text] of statements.entries()) {
    const kind = text === 'commit' ? `commit of ${start(statements[index - 1])}` : start(text);
    if (!kinds.has(kind)) kinds.set(kind, [index, text]);
  }
  return [...kinds.values()];
}
