import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBudget } from '../../src/db/budget.ts';
import { resolveConninfo } from '../../src/db/conninfo/resolve.ts';
import { runTransaction } from '../../src/db/run-steps.ts';
import { connect, type Session } from '../../src/db/session.ts';
import type { Step } from '../../src/db/step.ts';
import { until } from '../support/live.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let session: Session;
beforeAll(async () => {
  database = await createDatabase();
  const signal = new AbortController().signal;
  session = await connect(resolveConninfo({ url: database.url, env: {} }), { signal, onNotice: () => {} });
});
afterAll(async () => {
  await session.close();
  await database.drop();
});

const run = (steps: readonly Step[]) =>
  runTransaction(session, steps, { budget: createBudget(100, 0), onWait: () => {} });

function step(sql: string, text: string): Step {
  const offset = text.indexOf(sql);
  const line = text.slice(0, offset).split('\n').length;
  return {
    title: 'Try',
    sql,
    transaction: 1,
    locks: [],
    source: { file: 'sql/file.sql', text, offset, line },
  };
}

it('reports an error at the line that the server points to', async () => {
  const sql = "select 'ü€😀',\n  2,\n  nonsense";
  const text = `-- A comment.\nselect 1;\n${sql};\n`;
  await expect(run([step('select 1', text), step(sql, text)])).rejects.toMatchObject({
    facts: {
      code: 'sql_error',
      sqlstate: '42703',
      message: 'Try: sql/file.sql:5: column "nonsense" does not exist.',
    },
  });
});

it('reports an error that the server points nowhere with at the line of its statement', async () => {
  const sql = 'create schema\n  public';
  await expect(run([step(sql, `select 1;\n\n${sql};\n`)])).rejects.toMatchObject({
    facts: { message: 'Try: sql/file.sql:3: schema "public" already exists.' },
  });
});

it('rolls the whole transaction back when a later step fails', async () => {
  const good: Step = { title: 'Make', sql: 'create table public.t ()', transaction: 1, locks: [] };
  await expect(run([good, { ...good, sql: 'select 1 / 0' }])).rejects.toMatchObject({
    facts: { sqlstate: '22012', message: 'Make: division by zero.' },
  });
  expect(await database.sql`select to_regclass('public.t') as t`).toEqual([{ t: null }]);
  await run([good]);
  expect(await database.sql`select to_regclass('public.t')::text as t`).toEqual([{ t: 't' }]);
});

it('asks beside a transaction that is younger than one try, and keeps out of the queue of an older one', async () => {
  await database.sql`create table if not exists public.busy (a int)`;
  const other = database.connect();
  const lock: Step = {
    title: 'Lock',
    sql: 'lock table public.busy in access exclusive mode',
    transaction: 1,
    locks: [{ relation: 'public.busy', mode: 'ACCESS EXCLUSIVE' }],
  };
  const ask = (lockTimeoutMs: number) =>
    runTransaction(session, [lock], { budget: createBudget(lockTimeoutMs, 0), onWait: () => {} });
  await other`begin`;
  await other`select from public.busy`;
  const asked = ask(60_000);
  await until('it queues behind the young one', async () => {
    const rows = await database.sql`select from pg_locks where not granted and locktype = 'relation'`;
    return rows.length > 0;
  });
  await other`commit`;
  await asked;

  await other`begin`;
  await other`select from public.busy`;
  await other`select pg_sleep(0.01)`;
  const failed = ask(1).catch((thrown) => thrown);
  expect(await failed).toMatchObject({ facts: { code: 'lock_budget_spent' } });
  // PostgreSQL itself gave no error: nothing was sent that could have queued.
  expect((await failed).cause).toBeUndefined();
  await other`commit`;
  await other.end();
});

it('finds its moment on a busy table also for a role that sees the age of no transaction', async () => {
  const role = `busy_${process.pid}`;
  await database.sql.unsafe(`create table if not exists public.crowded (a int); create role ${role} login;
    alter table public.crowded owner to ${role}; grant usage on schema public to ${role}`);
  const signal = new AbortController().signal;
  const url = `${database.url}&options=${encodeURIComponent(`-c role=${role}`)}`;
  const owner = await connect(resolveConninfo({ url, env: {} }), { signal, onNotice: () => {} });
  let done = false;
  const writers = [1, 2].map(async () => {
    const sql = database.connect();
    await sql`set lock_timeout to '60s'`;
    while (!done)
      await sql.begin((tx) => tx`insert into crowded values (1)`.then(() => tx`select pg_sleep(0.02)`));
    await sql.end();
  });
  const lock: Step = {
    title: 'Lock',
    sql: 'lock table public.crowded in access exclusive mode',
    transaction: 1,
    locks: [{ relation: 'public.crowded', mode: 'ACCESS EXCLUSIVE' }],
  };
  await runTransaction(owner, [lock], { budget: createBudget(1000, 60_000), onWait: () => {} }).finally(
    () => {
      done = true;
    },
  );
  await Promise.all(writers);
  await owner.close();
  await database.sql.unsafe(`drop table crowded; drop owned by ${role}; drop role ${role}`);
});
