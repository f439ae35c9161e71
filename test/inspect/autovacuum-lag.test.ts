import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly, type ShownFinding } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, type TestRole } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('autovacuum_lag', () => {
  let server: RunningServer;
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    // Autovacuum that comes too late for every test.
    server = await startServer({ settings: { autovacuum_naptime: '1d' } });
    database = await createDatabase({ server: server.url });
    role = await createRole(database);
    await database.sql.unsafe(`
      create table "R" (id bigint, "timestamp" timestamptz not null, filler text) partition by range ("timestamp");
      ${leavesOf('"R"', months('2026-01', 5)).replaceAll('"R"_', 'r_')}
      create table plain (n int)`);
  });
  afterAll(async () => {
    await database.leave();
    await server.stop();
  });

  const HOUR = 3_600_000;
  const look = async (hours = 0) =>
    await inspectOnly(database, 'autovacuum_lag', { now: new Date(Date.now() + hours * HOUR) });
  const passes = async (hours = 0) => await until(async () => (await look(hours)).passed.length === 1);
  // Up to 14 the statistics are told of everything a little later.
  const found = async (hours = 0) => {
    await until(async () => (await look(hours)).findings.length > 0);
    return (await look(hours)).findings;
  };
  const mended = async (findings: readonly ShownFinding[], hours = 0) => {
    await applyFixes(database, findings);
    await passes(hours);
  };
  const counted = async (table: string, column: string, count: number) =>
    await until(async () => {
      const rows = await database.sql.unsafe(
        `select from pg_stat_all_tables where relname = '${table}' and ${column} = ${count}`,
      );
      return rows.length === 1;
    });

  it('is quiet on new partitions and small tables', async () => {
    await database.sql`insert into plain select generate_series(1, 5000)`;
    await counted('plain', 'n_live_tup', 5000);
    expect(await look(24)).toMatchObject({ findings: [], passed: ['autovacuum_lag'] });
  });

  it('cannot date rows that nobody has analyzed, gives autovacuum time for others, and then finds them', async () => {
    await database.sql`insert into "R" select n, '2026-02-01Z' from generate_series(1, 30000) n`;
    await counted('r_2026_02_01', 'n_ins_since_vacuum', 30_000);
    expect(await look(24)).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: [],
      notYet: [{ check: 'autovacuum_lag', ripeAt: null }],
    });
    await database.sql`analyze r_2026_02_01`;
    await passes();
    const findings = await found(4);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public."R"',
        evidence: { kind: 'late', tables: ['public.r_2026_02_01'], insertedRows: 30_000, deadRows: 0 },
        fix: ['vacuum (analyze) public.r_2026_02_01'],
      },
    ]);
    const now = new Date(Date.now() + 4 * HOUR);
    const seen = await inspectOnly({ url: role.url }, 'autovacuum_lag', { now });
    expect(seen.findings).toEqual(findings);
    await mended(findings, 4);
  });

  it('finds dead rows that wait, by the thresholds of the table itself', async () => {
    await database.sql`delete from "R" where id % 2 = 0`;
    await database.sql`alter table r_2026_02_01 set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000)`;
    await counted('r_2026_02_01', 'n_dead_tup', 15_000);
    await database.sql`analyze r_2026_02_01`;
    await passes(4);
    await database.sql`alter table r_2026_02_01 reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold)`;
    const findings = await found(4);
    expect(findings).toMatchObject([{ evidence: { kind: 'late', deadRows: 15_000 } }]);
    await mended(findings, 4);
  });

  it('finds where it is off, but not where nothing is left to do', async () => {
    await database.sql.unsafe(`
      alter table r_2026_01_01 set (autovacuum_enabled = off);
      alter table r_2026_03_01 set (autovacuum_enabled = false, toast.autovacuum_enabled = false);
      alter table r_2026_02_01 set (autovacuum_enabled = off)`);
    const { findings } = await look();
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public."R"',
        evidence: { kind: 'disabled', tables: ['public.r_2026_01_01', 'public.r_2026_03_01'] },
        fix: [
          'alter table public.r_2026_01_01 reset (autovacuum_enabled)',
          'alter table public.r_2026_03_01 reset (autovacuum_enabled, toast.autovacuum_enabled)',
        ],
      },
    ]);
    await mended(findings);
    await database.sql`alter table r_2026_02_01 reset (autovacuum_enabled)`;
  });

  it('finds partitions to which no VACUUM has ever come, and none will', async () => {
    await database.sql.unsafe(`
      alter table r_2026_04_01 alter column filler set storage plain;
      insert into "R" select n, '2026-04-01Z', repeat('x', 7000) from generate_series(1, 1200) n`);
    await counted('r_2026_04_01', 'n_live_tup', 1200);
    await database.sql`select pg_stat_reset()`;
    await database.sql`analyze`;
    const findings = await found();
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public."R"',
        evidence: { kind: 'never', tables: ['public.r_2026_04_01'] },
      },
    ]);
    // Until it is over, it is nobody's.
    const during = await inspectOnly(database, 'autovacuum_lag', { now: '2026-04-20T00:00:00Z' });
    expect(during.findings).toEqual([]);
    await mended(findings);
  });

  it('is critical when autovacuum or what it goes by is off for all', async () => {
    await database.sql`alter system set autovacuum to off`;
    await database.sql`alter system set track_counts to off`;
    await database.sql`select pg_reload_conf()`;
    await until(async () => (await look()).findings[0]?.message.includes('and') === true);
    const findings = await found();
    expect(findings).toMatchObject([
      { severity: 'critical', object: database.name, evidence: { settings: ['autovacuum', 'track_counts'] } },
    ]);
    await mended(findings);
  });
});
