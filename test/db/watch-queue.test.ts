import type { Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBudget, type LockBudget } from '../../src/db/budget.ts';
import { resolveConninfo } from '../../src/db/conninfo/resolve.ts';
import { runAlone } from '../../src/db/run-steps.ts';
import { connect, type Session } from '../../src/db/session.ts';
import type { Step } from '../../src/db/step.ts';
import { until } from '../support/live.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let session: Session;
let other: Sql;
beforeAll(async () => {
  database = await createDatabase();
  const signal = new AbortController().signal;
  session = await connect(resolveConninfo({ url: database.url, env: {} }), { signal, onNotice: () => {} });
  await database.sql`create table t (a int)`;
});
afterAll(async () => {
  await session.close();
  await database.drop();
});
beforeEach(() => {
  other = database.connect();
});
afterEach(async () => {
  await other`rollback`;
  await database.sql`drop index if exists i`;
});

// It announces no lock, so that nothing waits for a quiet moment before it is sent: the queueing is what is looked at.
const BUILD: Step = {
  title: 'Build i',
  sql: 'create index concurrently i on public.t (a)',
  transaction: null,
  locks: [],
};

const isWaiting = (locktype: string) => async () => {
  const rows = await database.sql`select from pg_locks where not granted and locktype = ${locktype}`;
  return rows.length > 0;
};

function build(budget: LockBudget, using: Session = session, told: string[] = []) {
  return runAlone(using, BUILD, { budget, onWait: (message) => told.push(message) });
}

async function indexes(): Promise<readonly unknown[]> {
  return [...(await database.sql`select indisvalid from pg_index where indrelid = 't'::regclass`)];
}

describe('a statement outside of transactions', () => {
  it('waits longer than one try for transactions to end, since that holds nobody up', async () => {
    await other`begin`;
    await other`insert into t values (1)`;
    const told: string[] = [];
    const building = build(createBudget(1, 60_000), session, told);
    await until('it waits for the writer', isWaiting('virtualxid'));
    await until('the waiting is told', () => told.length >= 10);
    expect(told[0]).toMatch(
      /^Build i: waiting for transactions to end that were there before it, pid \d+ \(/,
    );
    expect(told[0]).toContain('idle in transaction');
    await other`commit`;
    await building;
    expect(await indexes()).toEqual([{ indisvalid: true }]);
  });

  it('gives up waiting for transactions when the budget is spent, and names whom it waited for', async () => {
    await other`begin`;
    await other`insert into t values (1)`;
    await expect(build(createBudget(60_000, 200))).rejects.toMatchObject({
      exitCode: 5,
      facts: {
        code: 'lock_budget_spent',
        sqlstate: '55P03',
        message: expect.stringMatching(/that were there before it, pid \d+ \(user postgres/),
      },
    });
  });

  it('queues for a lock no longer than one try', async () => {
    await other`begin`;
    await other`lock table t in share mode`;
    const budget = createBudget(100, 1_000_000_000);
    const building = build(budget);
    building.catch(() => {});
    await until('it queues', isWaiting('relation'));
    await until('it has given up queueing', async () => !(await isWaiting('relation')()));
    expect(budget.remainingMs()).toBeGreaterThan(0);
    await other`commit`;
    await building;
    expect(await indexes()).toEqual([{ indisvalid: true }]);
  });

  it('is found by its text behind a pooler, where its process is not known', async () => {
    await other`begin`;
    await other`insert into t values (1)`;
    const told: string[] = [];
    const pooled: Session = { ...session, pooled: true, backendPid: 0 };
    const building = build(createBudget(60_000, 60_000), pooled, told);
    await until('the waiting is told', () => told.length > 0);
    await other`commit`;
    await building;
    expect(await indexes()).toEqual([{ indisvalid: true }]);
  });

  it('is cut short in every wait when nobody can watch it', async () => {
    await other`begin`;
    await other`insert into t values (1)`;
    const unwatched: Session = {
      ...session,
      openAnother: () => Promise.reject(new Error('too many clients')),
    };
    await expect(build(createBudget(50, 0), unwatched)).rejects.toMatchObject({
      exitCode: 5,
      facts: { code: 'lock_budget_spent' },
    });
  });

  it('fails with the error of the server when that is none of waiting', async () => {
    const broken: Step = { ...BUILD, sql: 'create index concurrently i on public.t (nothing)' };
    const run = runAlone(session, broken, { budget: createBudget(100, 100), onWait: () => {} });
    await expect(run).rejects.toMatchObject({ exitCode: 1, facts: { sqlstate: '42703' } });
  });
});
