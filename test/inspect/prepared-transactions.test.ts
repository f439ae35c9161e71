import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const AT_ONCE = 'inspect: { thresholds: { prepared_transactions: { warning_minutes: 0 } } }';

describe('prepared_transactions', () => {
  let database: TestDatabase;
  const inspectAtOnce = (url = database.url) =>
    inspectOnly({ url }, 'prepared_transactions', { config: AT_ONCE });

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql`create table t (i int)`;
  });
  afterAll(() => database.drop());

  it('finds those that nobody ended, and its fix rolls them back', async () => {
    expect(await inspectAtOnce()).toMatchObject({ findings: [], passed: ['prepared_transactions'] });
    const session = database.connect();
    for (const gid of ["it's ours", 'other']) {
      await session.unsafe(
        `begin; insert into t values (1); prepare transaction '${gid.replace("'", "''")}'`,
      );
    }
    expect(await inspectOnly(database, 'prepared_transactions')).toMatchObject({ findings: [] });
    const role = await createRole(database);
    const { findings } = await inspectAtOnce();
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'warning',
        object: database.name,
        message: expect.stringContaining("it's ours"),
      }),
    ]);
    // They are on show to everybody.
    expect((await inspectAtOnce(role.url)).findings).toHaveLength(1);
    await dropRoles(database.sql, [role]);
    await applyFixes(database, findings);
    expect(await inspectAtOnce()).toMatchObject({ findings: [], passed: ['prepared_transactions'] });
    expect(await database.sql`select from t`).toHaveLength(0);
  });
});
