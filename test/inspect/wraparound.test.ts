import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

describe('wraparound', () => {
  let server: RunningServer;
  let database: TestDatabase;

  beforeAll(async () => {
    server = await startServer({ settings: { autovacuum_freeze_max_age: '100000', autovacuum: 'off' } });
    database = await createDatabase({ server: server.url });
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz, note text) partition by range ("timestamp");
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01')`);
  });
  afterAll(async () => {
    await database.drop();
    await server.stop();
  });

  it('finds what an old transaction keeps from being frozen, once for all partitions; then its fix freezes it', async () => {
    expect(await inspectOnly(database, 'wraparound')).toMatchObject({ findings: [], passed: ['wraparound'] });
    const role = await createRole(database);
    const reader = database.connect();
    await reader.unsafe('begin isolation level repeatable read; select count(*) from r');
    await database.sql.unsafe(
      'do $$ begin for n in 1..130000 loop perform pg_current_xact_id(); commit; end loop; end $$',
    );
    for (const url of [database.url, role.url]) {
      const { exitCode, findings } = await inspectOnly({ url }, 'wraparound');
      expect(exitCode).toBe(3);
      expect(findings).toEqual([
        expect.objectContaining({
          severity: 'warning',
          object: 'public.r',
          evidence: expect.objectContaining({ leaves: 2 }),
        }),
      ]);
    }
    const { findings } = await inspectOnly(database, 'wraparound');
    await applyFixes(database, findings);
    // The reader still holds it back.
    expect((await inspectOnly(database, 'wraparound')).findings).toHaveLength(1);
    await reader.unsafe('rollback');
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'wraparound')).toMatchObject({ findings: [], passed: ['wraparound'] });
  });

  it('finds it critical beyond a threshold of one’s own', async () => {
    await database.sql.unsafe(
      'do $$ begin for n in 1..130000 loop perform pg_current_xact_id(); commit; end loop; end $$',
    );
    const config = 'inspect: { thresholds: { wraparound: { critical_age: 100000 } } }';
    const { findings } = await inspectOnly(database, 'wraparound', { config });
    expect(findings).toEqual([expect.objectContaining({ severity: 'critical', object: 'public.r' })]);
  });
});
