import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

/** The clock of a transaction cannot be set: thresholds of nothing make one that has just begun a long one. */
const AT_ONCE = 'inspect: { thresholds: { long_transactions: { idle_minutes: 0, warning_minutes: 0 } } }';

describe('long_transactions', () => {
  let database: TestDatabase;
  const open: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    for (const close of open.splice(0)) await close();
  });
  afterAll(() => database.drop());

  const inspectAtOnce = (url = database.url) =>
    inspectOnly({ url }, 'long_transactions', { config: AT_ONCE });

  async function forgotten() {
    const session = database.connect();
    await session.unsafe('begin; select 1');
    open.push(() => session.end({ timeout: 1 }));
    const [{ pid } = { pid: 0 }] = await session<{ pid: number }[]>`select pg_backend_pid() as pid`;
    return pid;
  }

  it('passes while nobody is in a transaction, and one that is young', async () => {
    expect(await inspectAtOnce()).toMatchObject({ findings: [], passed: ['long_transactions'] });
    await forgotten();
    expect(await inspectOnly(database, 'long_transactions')).toMatchObject({ findings: [] });
  });

  it('finds the forgotten ones, once for the database, and its fix ends them', async () => {
    const pids = [await forgotten(), await forgotten()];
    const { exitCode, findings } = await inspectAtOnce();
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        object: database.name,
        evidence: expect.objectContaining({ transactions: 2, pids: pids.map(String) }),
      }),
    ]);
    expect(findings[0]?.message).toContain('idle in transaction');
    await applyFixes(database, findings);
    // The server ends them a moment later.
    while ((await database.sql`select from pg_stat_activity where pid in ${database.sql(pids)}`).length > 0);
    expect(await inspectAtOnce()).toMatchObject({ findings: [], passed: ['long_transactions'] });
  });

  it('is unknown to a role that may not see the sessions of others', async () => {
    const role = await createRole(database);
    // From 16 on a grant can say what a role that inherits nothing by default inherits.
    await database.sql.unsafe(
      `do $$ begin if current_setting('server_version_num')::int >= 160000 then alter role ${role.name} noinherit; end if; end $$`,
    );
    const session = database.connect();
    await session.unsafe('begin isolation level repeatable read; select 1');
    open.push(() => session.end({ timeout: 1 }));
    const { findings } = await inspectAtOnce(role.url);
    expect(findings).toEqual([
      expect.objectContaining({ severity: 'unknown', message: expect.stringContaining('pg_read_all_stats') }),
    ]);
    await applyFixes(database, findings);
    expect((await inspectAtOnce(role.url)).findings).toEqual([
      expect.objectContaining({ severity: 'warning' }),
    ]);
    await dropRoles(database.sql, [role]);
  });

  it('ends no session that is at another transaction by then', async () => {
    const session = database.connect();
    open.push(() => session.end({ timeout: 1 }));
    await session.unsafe('begin; select 1');
    const { findings } = await inspectAtOnce();
    await session.unsafe('commit; begin; select 1');
    await applyFixes(database, findings);
    expect(await session.unsafe('select 1 as still_there')).toEqual([{ still_there: 1 }]);
  });

  it('is unknown where a session that is hidden has nothing but locks', async () => {
    await database.sql`create table locked ()`;
    const role = await createRole(database);
    const session = database.connect();
    open.push(() => session.end({ timeout: 1 }));
    await session.unsafe('begin; select from locked');
    expect((await inspectAtOnce(role.url)).findings).toEqual([
      expect.objectContaining({ severity: 'unknown', evidence: expect.objectContaining({ hidden: 1 }) }),
    ]);
    await session.unsafe('commit');
    expect((await inspectAtOnce(role.url)).findings).toEqual([]);
    await dropRoles(database.sql, [role]);
  });
});
