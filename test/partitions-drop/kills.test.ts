import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliResult, runCli, spawnCli } from '../support/cli.ts';
import { type PassingStatement, startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql`set client_min_messages to warning`;
});
afterAll(() => database.drop());

/** An attached leaf, and one that was detached; sensordb's own tables are there. */
async function reset(): Promise<void> {
  await database.sql.unsafe('drop schema if exists sensordb cascade; drop table if exists t, t_1, device');
  await database.sql.unsafe(`create table device (id int primary key); insert into device values (1);
    create table t (device_id int references device, at timestamptz not null) partition by range (at);
    create table t_default partition of t default;
    create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z');
    create table t_2 partition of t for values from ('2025-02-01Z') to ('2025-03-01Z');
    create table t_now partition of t for values from ('2026-01-01Z') to ('2200-01-01Z');
    insert into t values (1, '2025-01-05Z'), (1, '2025-02-05Z'), (1, '2026-02-05Z')`);
  await runCli(['migrate', 'up', '--state-only', '--quiet'], { url: database.url });
  await database.sql.unsafe(`insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid,
      leaf_schema, leaf_name, bound, lower_bound, upper_bound, state)
    values ('t'::regclass, 'public', 't', 't_1'::regclass, 'public', 't_1', 'FOR VALUES', '2025-01-01Z', '2025-02-01Z', 'detached');
    alter table t detach partition t_1`);
}

const WORDS = ['partitions', 'drop', '-t', 't', 't_1', 't_2', '--yes', '--json'];

/** What the database is left with: relations, constraints, triggers, what is remembered, and no lock of anybody's. */
async function endState(): Promise<unknown> {
  const { sql } = database;
  return {
    relations: [
      ...(await sql`select relname, relkind, relispartition, pg_get_expr(relpartbound, 0) as bound
        from pg_class where relnamespace = 'public'::regnamespace order by 1`),
    ],
    constraints: [
      ...(await sql`select conname, conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
        where connamespace = 'public'::regnamespace order by 1, 2`),
    ],
    triggers: [
      ...(await sql`select tgrelid::regclass::text as table, count(*)::int4 from pg_trigger group by 1 order by 1`),
    ],
    records: [...(await sql`select leaf_name, state, bound from sensordb.detached_leaf order by 1`)],
    locks: [
      ...(await sql`select from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`),
    ],
    rows: [...(await sql`select count(*)::int4 from t`)],
  };
}

async function rehearse() {
  await reset();
  const proxy = await startProxy(database.url);
  const { exitCode, json } = await runCli(WORDS, { url: proxy.url });
  await proxy.close();
  expect([exitCode, json().data.dropped]).toEqual([0, ['t_1', 't_2']]);
  const { statements } = proxy;
  const end = statements.findIndex((text) => text.startsWith('update "sensordb"."run_log"'));
  return { statements, end, state: await endState() };
}

async function disturbed(
  when: 'before' | 'after',
  number: number,
  disturb: (statement: PassingStatement) => void | Promise<void>,
  work: (url: string) => Promise<void>,
): Promise<void> {
  await reset();
  const proxy = await startProxy(database.url, {
    [when]: (statement: PassingStatement) => (statement.number === number ? disturb(statement) : undefined),
  });
  await work(proxy.url);
  await proxy.close();
}

async function expectRecovery(state: unknown, where: string): Promise<void> {
  const { exitCode, json } = await runCli([...WORDS, '--wait', '10s'], { url: database.url });
  expect([exitCode, json().data.refused], where).toEqual([0, []]);
  expect(await endState(), where).toEqual(state);
}

function expectHonest({ exitCode, json, stdout }: CliResult, where: string): void {
  expect([1, 4], where).toContain(exitCode);
  expect(stdout.trim().split('\n'), where).toHaveLength(1);
  expect(json(), where).toMatchObject({ ok: false });
  expect(json().error?.code, where).toMatch(/^(connection_lost|server_unreachable|login_refused)$/);
}

it('is made good by the next run, wherever the connection broke', { timeout: 120_000 }, async () => {
  const { statements, end, state } = await rehearse();
  for (const [index, text] of oneOfEachKind(statements)) {
    const when = text === 'commit' ? 'after' : 'before';
    const where = `cut ${when} ${index + 1}: ${text.slice(0, 60)}`;
    await disturbed(
      when,
      index + 1,
      ({ cut }) => cut(),
      async (url) => {
        const result = await runCli(WORDS, { url });
        if (index < end - 2) expectHonest(result, where);
      },
    );
    await expectRecovery(state, where);
  }
});

it('is made good by the next run when its server process is terminated', { timeout: 120_000 }, async () => {
  const { statements, end, state } = await rehearse();
  for (const [index, text] of oneOfEachKind(statements.slice(0, end - 2))) {
    const where = `terminated at ${index + 1}: ${text.slice(0, 60)}`;
    const terminate = async ({ backendPid }: PassingStatement) => {
      await database.sql`select pg_terminate_backend(${backendPid}, 5000)`;
    };
    await disturbed('before', index + 1, terminate, async (url) => {
      expectHonest(await runCli(WORDS, { url }), where);
    });
    await expectRecovery(state, where);
  }
});

it('is made good by the next run after SIGKILL', { timeout: 120_000 }, async () => {
  const { statements, state } = await rehearse();
  for (const [index, text] of oneOfEachKind(statements)) {
    const where = `killed at ${index + 1}: ${text.slice(0, 60)}`;
    let kill = () => {};
    await disturbed(
      'after',
      index + 1,
      () => kill(),
      async (url) => {
        const run = spawnCli(WORDS, { url });
        kill = () => run.kill('SIGKILL');
        expect((await run.ended).exitCode, where).toBeNull();
      },
    );
    await expectRecovery(state, where);
  }
});

// What only reads, before the work, is disturbed in the tests of other commands.
const WRITES = /^(lock|drop|insert|update|commit|select sensordb)/;

/** Chooses one statement of each kind that writes, by its first words; a COMMIT by those of what it commits. */
function oneOfEachKind(statements: readonly string[]): readonly (readonly [number, string])[] {
  const start = (text = '') => text.trim().split(/\s+/).slice(0, 4).join(' ');
  const kinds = new Map<string, readonly [number, string]>();
  for (const [index, text] of statements.entries()) {
    if (!WRITES.test(text)) continue;
    const kind = text === 'commit' ? `commit of ${start(statements[index - 1])}` : start(text);
    if (!kinds.has(kind)) kinds.set(kind, [index, text]);
  }
  return [...kinds.values()];
}
