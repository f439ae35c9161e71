import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('dead_rows', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    // Autovacuum is kept out of the test, or it would mend what the test has done.
    await database.sql.unsafe(`
      create table r (id bigint, at timestamptz not null) partition by range (at);
      ${leavesOf('r', months('2026-01', 5))}
      create table plain (n int) with (autovacuum_enabled = off);
      do $$ declare leaf text; begin
        for leaf in select inhrelid::regclass::text from pg_inherits where inhparent = 'r'::regclass loop
          execute format('alter table %s set (autovacuum_enabled = off)', leaf);
        end loop; end $$;
      insert into r select n, timestamptz '2026-01-01Z' + (n % 3) * interval '1 month' from generate_series(1, 60000) n;
      insert into plain select generate_series(1, 12000)`);
    // Most of what few rows there are, and few of the many.
    await database.sql.unsafe(
      'delete from plain where n <= 9900; delete from r where id % 3 = 1 and id % 5 = 0',
    );
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const look = async () => await inspectOnly(database, 'dead_rows');
  const counted = async (table: string, dead: number) =>
    await until(async () => {
      const [row] =
        await database.sql`select n_dead_tup::int4 as n from pg_stat_all_tables where relname = ${table}`;
      return row?.n === dead;
    });

  // Up to 14 the statistics are told of a VACUUM or ANALYZE a little later.
  const passes = async () => await until(async () => (await look()).passed.length === 1);

  it('is quiet where few rows are dead, or few of many', async () => {
    await counted('plain', 9900);
    await counted('r_2026_02_01', 4000);
    expect(await look()).toMatchObject({ findings: [], passed: ['dead_rows'] });
  });

  it('finds a table most of whose partitions’ rows were deleted, and VACUUM mends it', async () => {
    await database.sql`delete from r where id % 3 <> 1 and id % 5 <> 0`;
    await counted('r_2026_01_01', 16_000);
    await counted('r_2026_03_01', 16_000);
    const { findings, exitCode } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r',
        evidence: {
          tables: ['public.r_2026_01_01', 'public.r_2026_03_01'],
          tableCount: 2,
          deadRows: 32_000,
          percent: 80,
        },
        fix: ['vacuum (analyze) public.r_2026_01_01, public.r_2026_03_01'],
      },
    ]);
    expect((await inspectOnly({ url: role.url }, 'dead_rows')).findings).toEqual(findings);
    await applyFixes(database, findings);
    await passes();
  });

  it('finds a table that is not partitioned', async () => {
    await database.sql`update plain set n = n`;
    await counted('plain', 12_000);
    const { findings } = await look();
    expect(findings).toMatchObject([{ object: 'public.plain', evidence: { deadRows: 12_000 } }]);
    await applyFixes(database, findings);
    await passes();
  });

  it('cannot tell what the statistics have forgotten, until somebody has looked', async () => {
    await database.sql`select pg_stat_reset()`;
    await until(async () => (await look()).notYet.length === 1);
    const [row] = await database.sql`
      select to_char(stats_reset + interval '1 day', 'YYYY-MM-DD"T"HH24:MI') as ripe from pg_stat_database
       where datname = current_database()`;
    const { exitCode, passed, notYet } = await look();
    expect({ exitCode, passed }).toEqual({ exitCode: 0, passed: [] });
    expect(notYet).toEqual([{ check: 'dead_rows', ripeAt: expect.stringContaining(row?.ripe) }]);
    const now = new Date(Date.now() + 90_000_000);
    expect((await inspectOnly(database, 'dead_rows', { now })).notYet).toEqual([
      { check: 'dead_rows', ripeAt: null },
    ]);
    await database.sql`analyze`;
    await passes();
  });
});
