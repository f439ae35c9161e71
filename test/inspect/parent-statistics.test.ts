import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type RunningServer, startServer, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('parent_statistics', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    await database.sql.unsafe(`
      create table "R""" (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
      create table r_1 partition of "R""" for values from ('2026-01-01Z') to ('2026-02-01Z');
      create table r_2 partition of "R""" for values from ('2026-02-01Z') to ('2026-03-01Z') partition by hash (id);
      create table r_2a partition of r_2 for values with (modulus 2, remainder 0);
      create table r_2b partition of r_2 for values with (modulus 2, remainder 1);
      create table unused (at timestamptz not null) partition by range (at);
      ${leavesOf('unused', months('2026-01', 3))}
      create table small (at timestamptz not null) partition by range (at);
      ${leavesOf('small', months('2026-01', 3))}
      insert into small select timestamptz '2026-01-01Z' + n * interval '1 minute' from generate_series(1, 5000) n;
      create table plain as select n from generate_series(1, 20000) n;
      analyze plain`);
    for (const leaf of ['small_2026_01_01', 'small_2026_02_01']) await database.sql.unsafe(`analyze ${leaf}`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const object = 'public."R"""';
  const look = async (options = {}) => await inspectOnly(database, 'parent_statistics', options);
  const insert = (month: string, rows: number) =>
    database.sql.unsafe(`insert into "R""" select n, timestamptz '2026-${month}-01Z' + n * interval '1 second'
                           from generate_series(1, ${rows}) n`);

  // Up to 14 the statistics are told of an ANALYZE a little later.
  const passes = async () => await until(async () => (await look()).passed.length === 1);

  it('is quiet on tables without rows, with few of them, and on those that are not partitioned', async () => {
    expect(await look()).toMatchObject({ findings: [], passed: ['parent_statistics'] });
  });

  it('finds one that was never analyzed, as soon as it has rows, whoever looks', async () => {
    await insert('01', 20_000);
    await until(async () => (await look()).findings.length > 0);
    await database.sql`analyze r_1`;
    const { findings, exitCode } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object,
        evidence: { rowsOfTable: null, rowsOfPartitions: 20_000, analyzedAt: null },
      },
    ]);
    expect((await inspectOnly({ url: role.url }, 'parent_statistics')).findings).toEqual(findings);
    await applyFixes(database, findings);
    await passes();
  });

  it('finds one that its partitions have outgrown since', async () => {
    await insert('02', 3000);
    await database.sql`analyze r_2a, r_2b`;
    expect((await look()).findings).toEqual([]);
    await insert('02', 3000);
    await database.sql`analyze r_2a, r_2b`;
    const { findings } = await look();
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object,
        evidence: { rowsOfTable: 20_000, rowsOfPartitions: 26_000, driftPercent: 30 },
      },
    ]);
    await applyFixes(database, findings);
    await passes();
  });

  it('does not take a reset of the statistics for an ANALYZE, nor the other way round', async () => {
    await database.sql`select pg_stat_reset()`;
    expect((await look()).findings).toEqual([]);
    await insert('02', 9000);
    await database.sql`vacuum r_2a, r_2b`;
    expect((await look()).findings).toMatchObject([{ object, evidence: { analyzedAt: null } }]);
  });
});

describe('parent_statistics beside autovacuum', () => {
  let server: RunningServer;
  let database: TestDatabase;

  beforeAll(async () => {
    server = await startServer({ settings: { autovacuum_naptime: '1s' } });
    database = await createDatabase({ server: server.url });
  });
  afterAll(async () => {
    await database.leave();
    await server.stop();
  });

  it('finds one that was analyzed long ago, before autovacuum analyzed its partitions anew', async () => {
    await database.sql.unsafe(`
      create table r (id bigint, at timestamptz not null) partition by range (at);
      ${leavesOf('r', months('2026-01', 3))}
      insert into r select n, timestamptz '2026-01-01Z' + n * interval '1 second' from generate_series(1, 20000) n`);
    const has = async (condition: string) => {
      const rows = await database.sql.unsafe(
        `select from pg_stat_all_tables where relname = 'r_2026_01_01' and ${condition}`,
      );
      return rows.length === 1;
    };
    // Counted later, the rows would have autovacuum analyze the partition once more.
    await until(() => has('n_live_tup = 20000'));
    await database.sql`analyze r`;
    const look = async (now: Date) => await inspectOnly(database, 'parent_statistics', { now });
    const later = new Date(Date.now() + 40 * 86_400_000);
    // Nothing has happened since: it may be as old as it likes.
    expect((await look(later)).findings).toEqual([]);
    await database.sql`update r set id = -id where id <= 5000`;
    await until(() =>
      has("last_autoanalyze > (select last_analyze from pg_stat_all_tables where relname = 'r')"),
    );
    const { findings } = await look(later);
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.r', evidence: { rowsAnalyzedSince: 20_000 } },
    ]);
    expect(findings[0]?.message).toMatch(/last analyzed (39|40) days ago/);
    expect((await look(new Date())).findings).toEqual([]);
    await applyFixes(database, findings);
    await until(async () => (await look(later)).findings.length === 0);
  });
});
