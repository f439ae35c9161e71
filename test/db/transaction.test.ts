import { afterEach, beforeEach, expect, it } from 'vitest';
import { resolveConninfo } from '../../src/db/conninfo/resolve.ts';
import { connect, type Session } from '../../src/db/session.ts';
import { inTransaction } from '../../src/db/transaction.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const READ_WRITE = { access: 'read write', lockTimeoutMs: 1000 } as const;

let database: TestDatabase;
let session: Session;
let stop: AbortController;
let notices: unknown[];
beforeEach(async () => {
  database = await createDatabase();
  stop = new AbortController();
  notices = [];
  session = await connect(resolveConninfo({ url: database.url, env: {} }), {
    signal: stop.signal,
    onNotice: ({ severity, message }) => notices.push(`${severity}: ${message}`),
  });
});
afterEach(async () => {
  await session.close();
  await database.drop();
});

/** Expects that no transaction is open, that none was committed, and that the server had nothing to remark. */
async function expectRolledBack(): Promise<void> {
  const state = await database.sql`select state from pg_stat_activity where pid = ${session.backendPid}`;
  expect(state).toEqual([{ state: 'idle' }]);
  expect(await database.sql`select to_regclass('public.t') as t`).toEqual([{ t: null }]);
  expect(notices).toEqual([]);
}

it('is rolled back when it is interrupted before its COMMIT is sent', async () => {
  const run: Session['run'] = (text, parameters, options) => {
    if (text === 'commit') stop.abort();
    return session.run(text, parameters, options);
  };
  const work = async () => {
    await session.run('create table public.t ()');
  };
  await expect(inTransaction({ ...session, run }, READ_WRITE, work)).rejects.toMatchObject({
    facts: { sqlstate: '57014' },
  });
  await expectRolledBack();
});

it('fails when the server answers COMMIT by rolling back', async () => {
  const work = async () => {
    await session.run('create table public.t ()');
    await session.run('select 1 / 0').catch(() => {});
  };
  await expect(inTransaction(session, READ_WRITE, work)).rejects.toMatchObject({
    exitCode: 1,
    facts: { code: 'rolled_back' },
  });
  await expectRolledBack();
});

it('reports why COMMIT failed, such as a deferred constraint', async () => {
  const work = async () => {
    await session.run('create table public.t (a int unique deferrable initially deferred)');
    await session.run('insert into public.t values (1), (1)');
  };
  await expect(inTransaction(session, READ_WRITE, work)).rejects.toMatchObject({
    exitCode: 1,
    facts: { code: 'sql_error', sqlstate: '23505', message: expect.stringMatching(/^Committing: dup/) },
  });
  await expectRolledBack();
});
