import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, type TestRole } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';

/** Uses transaction IDs up, as years of writing do. */
const burn = (ids: number) =>
  `do $$ begin for n in 1..${ids} loop perform pg_current_xact_id(); commit; end loop; end $$`;

describe('wraparound', () => {
  let server: RunningServer;
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    server = await startServer({
      settings: { autovacuum_freeze_max_age: '200000', autovacuum_naptime: '1d' },
    });
    database = await createDatabase({ server: server.url });
    role = await createRole(database);
    await database.sql.unsafe(`
      create table r (id bigint, at timestamptz not null, note text) partition by range (at);
      ${leavesOf('r', months('2026-01', 3))}
      create table plain (n int);
      create table impatient (n int) with (autovacuum_freeze_max_age = 100000)`);
  });
  afterAll(async () => {
    await database.leave();
    await server.stop();
  });

  const look = async (table: string, url = database.url) =>
    await inspect({ url }, ['--only', 'wraparound', '--table', table]);

  it('is quiet while nothing is old', async () => {
    expect(await inspectOnly(database, 'wraparound')).toMatchObject({ findings: [], passed: ['wraparound'] });
  });

  it('finds what an old snapshot keeps from being frozen, once a table and once for the rest', async () => {
    const reader = database.connect();
    await reader.unsafe('begin isolation level repeatable read; select count(*) from r');
    await database.sql.unsafe(burn(130_000));
    // By the limit that it has of its own.
    expect((await inspectOnly(database, 'wraparound')).findings).toMatchObject([
      { object: 'public.impatient' },
    ]);
    await database.sql.unsafe('drop table impatient');
    await database.sql.unsafe('create table young (at timestamptz) partition by range (at)');
    await database.sql.unsafe(leavesOf('young', months('2026-01', 3)));
    await database.sql.unsafe(burn(130_000));
    const { findings, exitCode } = await inspectOnly(database, 'wraparound');
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.plain' },
      {
        severity: 'warning',
        object: 'public.r',
        evidence: { tables: ['public.r_2026_01_01', 'public.r_2026_02_01'], tableCount: 2 },
        fix: ['vacuum (freeze) public.r_2026_01_01, public.r_2026_02_01'],
      },
      { severity: 'warning', object: database.name, fix: ['vacuum (freeze)'] },
    ]);
    expect((await inspectOnly({ url: role.url }, 'wraparound')).findings).toMatchObject(
      findings.map(({ object, severity }) => ({ object, severity })),
    );
    expect((await look('r')).findings).toMatchObject([{ object: 'public.r' }]);
    expect((await look('young')).passed).toEqual(['wraparound']);
    await applyFixes(database, findings);
    // It is still held back.
    expect((await look('r')).findings).toMatchObject([{ object: 'public.r' }]);
    await reader.unsafe('rollback');
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'wraparound')).toMatchObject({ findings: [], passed: ['wraparound'] });
  });
});
