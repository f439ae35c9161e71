import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { interruption } from '../../src/cli/signals.ts';
import { runCli, spawnCli } from '../support/cli.ts';
import { liveDatabase, until } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import { connectTo, startServer, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await liveDatabase();
});
afterEach(() => database.drop());

const ENSURE = ['partitions', 'ensure', '--from', '2026-03-01', '--until', '2026-06-01', '--json'];
const SLOW_DDL = `create function slow() returns event_trigger language plpgsql as
    $$ begin if tg_tag = 'ALTER TABLE' then perform pg_sleep(60); end if; end $$;
  create event trigger slow on ddl_command_end execute function slow()`;

async function sessionsOfRuns(): Promise<readonly { query: string; state: string }[]> {
  return await database.sql<{ query: string; state: string }[]>`
    select query, state from pg_stat_activity
     where datname = current_database() and application_name = 'sensordb'`;
}

/** Expects that a run is gone from the server, with its locks, and that its line in the run log has its end. */
async function expectNothingLeft(exitCodes: readonly number[]): Promise<void> {
  await until('the session is gone', async () => (await sessionsOfRuns()).length === 0);
  const locks = await database.sql`select from pg_locks where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())`;
  expect(locks).toHaveLength(0);
  const log = await database.sql<{ exit_code: number }[]>`select exit_code from sensordb.run_log order by id`;
  expect(log.map(({ exit_code }) => exit_code)).toEqual(exitCodes);
}

describe.each([
  ['SIGINT', 130, 'interrupted'],
  ['SIGTERM', 143, 'terminated'],
] as const)('%s', (signal, exitCode, code) => {
  async function expectStopped(run: ReturnType<typeof spawnCli>): Promise<void> {
    run.kill(signal);
    const result = await run.ended;
    expect(result.exitCode).toBe(exitCode);
    expect(result.json()).toMatchObject({ ok: false, command: 'partitions ensure', error: { code } });
    expect(result.stderr).toBe('');
  }

  it('ends a run that waits for a lock', async () => {
    const other = database.connect();
    await other.unsafe('begin; update sensors_device set name = name');
    const proxy = await startProxy(database.url);
    const run = spawnCli([...ENSURE, '--wait', '60s'], { url: proxy.url });
    await until('the run looks for blockers', () => looks(proxy.statements) > 3);
    await expectStopped(run);
    await expectNothingLeft([exitCode]);
    await proxy.close();
  });

  it('cancels the statement that runs', async () => {
    await database.sql.unsafe(SLOW_DDL);
    const run = spawnCli(ENSURE, { url: database.url });
    await until('the statement runs', async () =>
      (await sessionsOfRuns()).some(({ query, state }) => query.startsWith('alter') && state === 'active'),
    );
    await expectStopped(run);
    await expectNothingLeft([exitCode]);
    const half = await database.sql`select from pg_class where relname like '%2026_04%'`;
    expect(half).toHaveLength(0);
  });

  it("ends a run that waits for another run's lock", async () => {
    const other = database.connect();
    await other`select pg_advisory_lock(1396982274, 'sensors_sensorreading'::regclass::oid::int4)`;
    const run = spawnCli([...ENSURE, '--wait', '60s'], { url: database.url });
    await until('the run asks for the lock', async () =>
      (await sessionsOfRuns()).some(({ query }) => query.includes('try_advisory_lock')),
    );
    await expectStopped(run);
    await until('the session is gone', async () => (await sessionsOfRuns()).length === 0);
  });

  it('ends a run whose server is silent', async () => {
    const { run, proxy } = await startStuckRun();
    await expectStopped(run);
    await proxy.close();
  });

  it('ends at once, when it is given twice, a run that does not get to its end', async () => {
    const { run, proxy } = await startStuckRun();
    // Of two that are sent at once a process may see one.
    const again = setInterval(() => run.kill(signal), 20);
    // A run that gets to its end has an envelope.
    expect(await run.ended).toMatchObject({ exitCode, stdout: '', stderr: '' });
    clearInterval(again);
    await proxy.close();
  });

  it('ends a run that is connecting', async () => {
    let connected = false;
    const silent = createServer((socket) => {
      connected = true;
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const run = spawnCli(ENSURE, { url: `postgresql://u@127.0.0.1:${port}/d` });
    await until('the run connects', () => connected);
    await expectStopped(run);
    silent.close();
  });
});

it('at any statement ends with 130, an end in the run log, and nothing by halves', {
  timeout: 120_000,
}, async () => {
  const rehearsal = await startProxy(database.url);
  await runCli(ENSURE, { url: rehearsal.url });
  await rehearsal.close();
  const names = ['sensors_sensorreading_2026_04', 'sensors_sensorreading_2026_05'];
  for (const number of rehearsal.statements.keys()) {
    await database.sql.unsafe(`set client_min_messages to error; drop schema if exists sensordb cascade;
      drop table if exists ${names.join(', ')}`);
    const text = rehearsal.statements[number] ?? '';
    const where = `${number + 1}: ${text.slice(0, 50)}`;
    const controller = new AbortController();
    const proxy = await startProxy(database.url, {
      after: (statement) => {
        if (statement.number === number + 1) controller.abort(interruption('SIGINT'));
      },
    });
    const { exitCode, json } = await runCli(ENSURE, { url: proxy.url, signal: controller.signal });
    await proxy.close();
    const leaves = await database.sql<{ name: string }[]>`
      select relname as name from pg_class where relname = any (${names}) and relispartition order by 1`;
    const { data, error } = json();
    const created = leaves.map(({ name }) => name);
    // Interrupted when the last leaf was committed, a run is done.
    expect(created.length === 2 ? [0, 130] : [130], where).toContain(exitCode);
    expect(error?.code ?? null, where).toBe(exitCode === 0 ? null : 'interrupted');
    expect(data.created ?? [], where).toEqual(created);
    const [state] = await database.sql`select to_regclass('sensordb.run_log') as log`;
    if (state?.log != null) {
      const log = await database.sql<
        { code: number | null }[]
      >`select exit_code as code from sensordb.run_log`;
      expect(
        log.map(({ code }) => code).filter((code) => code !== exitCode),
        where,
      ).toEqual([]);
    }
  }
});

it('a run that waits for a lock ends when the server goes down', async () => {
  const server = await startServer();
  const sql = connectTo(server.url, { max: 2 });
  await sql.unsafe(`create table t (at date) partition by range (at)`);
  await sql.unsafe(`create table t_default partition of t default`);
  const blocker = await sql.reserve();
  await blocker.unsafe('begin; select * from t');
  const proxy = await startProxy(server.url);
  const run = spawnCli([...ENSURE, '--table', 't', '--interval', 'month', '--wait', '60s'], {
    url: proxy.url,
  });
  await until('the run looks for blockers', () => looks(proxy.statements) > 3);
  await server.kill();
  const { exitCode, json } = await run.ended;
  expect(exitCode).toBe(1);
  expect(json().error?.code).toBe('connection_lost');
  await sql.end({ timeout: 0 }).catch(() => {});
  await proxy.close();
  await server.stop();
});

/** Starts a run whose server falls silent in the middle. */
async function startStuckRun() {
  const proxy = await startProxy(database.url, {
    before: ({ text }) => (text.startsWith('create table public') ? new Promise(() => {}) : undefined),
  });
  const run = spawnCli(ENSURE, { url: proxy.url });
  await until('the run is stuck', () =>
    proxy.statements.some((text) => text.startsWith('create table public')),
  );
  return { run, proxy };
}

function looks(statements: readonly string[]): number {
  return statements.filter((text) => text.includes('pg_prepared_xacts')).length;
}
