import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

describe('replication_slots', () => {
  let server: RunningServer;
  let database: TestDatabase;

  beforeAll(async () => {
    server = await startServer({
      settings: { wal_level: 'logical', max_slot_wal_keep_size: '1MB', max_wal_size: '32MB' },
    });
    database = await createDatabase({ server: server.url });
    await database.sql`create table t (filler text)`;
  });
  afterAll(async () => {
    await database.drop();
    await server.stop();
  });

  it('passes without slots, and with one that has never reserved anything', async () => {
    await database.sql`select pg_create_physical_replication_slot('idle')`;
    expect(await inspectOnly(database, 'replication_slots')).toMatchObject({
      findings: [],
      passed: ['replication_slots'],
    });
  });

  it('finds slots without a reader, and those that have lost WAL, and its fix drops them', async () => {
    await database.sql`select pg_create_logical_replication_slot('gone', 'pgoutput')`;
    const role = await createRole(database);
    const unread = await inspectOnly({ url: role.url }, 'replication_slots');
    // Its reader may be on its way back.
    expect(unread).toMatchObject({
      exitCode: 0,
      findings: [
        {
          severity: 'info',
          object: 'gone',
          message: expect.stringContaining('has no reader'),
          fix: [],
        },
      ],
    });
    await dropRoles(database.sql, [role]);
    const config = 'inspect: { thresholds: { replication_slots: { warning_bytes: 1 } } }';
    expect((await inspectOnly(database, 'replication_slots', { config })).findings).toMatchObject([
      {
        severity: 'warning',
        fix: [expect.stringMatching(/^select pg_drop_replication_slot.*cannot be undone/)],
      },
    ]);
    // Over max_slot_wal_keep_size a checkpoint takes the WAL away.
    for (let round = 0; round < 4; round += 1) {
      await database.sql.unsafe(
        `insert into t select repeat(md5(n::text), 30) from generate_series(1, 20000) n`,
      );
      await database.sql.unsafe('select pg_switch_wal()');
      await database.sql.unsafe('checkpoint');
    }
    const { findings } = await inspectOnly(database, 'replication_slots');
    expect(findings).toEqual([
      expect.objectContaining({
        severity: 'critical',
        object: 'gone',
        message: expect.stringContaining('lost WAL'),
      }),
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'replication_slots')).toMatchObject({
      findings: [],
      passed: ['replication_slots'],
    });
  });
});
