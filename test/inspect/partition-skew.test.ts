import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('partition_skew', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    // A row fills a page: 8 MB a month, but 16 in the second and 80 in the fifth; the last two are empty.
    await database.sql.unsafe(`
      create table r ("timestamp" timestamptz not null, filler text) partition by range ("timestamp");
      ${leavesOf('r', months('2026-01', 11))}
      create table r_default partition of r default;
      alter table r alter column filler set storage plain;
      do $$ declare leaf text; begin
        for leaf in select inhrelid::regclass::text from pg_inherits where inhparent = 'r'::regclass loop
          execute format('alter table %s alter column filler set storage plain', leaf);
        end loop; end $$;
      insert into r
        select timestamptz '2026-01-01Z' + m * interval '1 month' + n * interval '1 second', repeat('x', 7000)
          from generate_series(0, 7) m
          cross join lateral generate_series(1, case m when 1 then 2000 when 4 then 10000 else 1000 end) n`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const isCounted = async () => {
    const [row] =
      await database.sql`select sum(n_live_tup)::int4 as n from pg_stat_all_tables where relname ~ '^r_2026'`;
    return row?.n === 18_000;
  };

  it('does not judge by a partition that is not over yet', async () => {
    await until(isCounted);
    expect(await inspectOnly(database, 'partition_skew', { now: '2026-05-20T00:00:00Z' })).toMatchObject({
      findings: [],
      passed: ['partition_skew'],
    });
  });

  it('finds the one that stands out, before and after ANALYZE has counted it', async () => {
    const now = '2026-10-20T00:00:00Z';
    const { findings, exitCode } = await inspectOnly(database, 'partition_skew', { now });
    expect(exitCode).toBe(0);
    expect(findings).toMatchObject([
      {
        severity: 'info',
        object: 'public.r_2026_05_01',
        evidence: { parent: 'public.r', bytes: 81_920_000 },
        fix: [],
      },
    ]);
    expect(findings[0]?.message).toBe(
      'public.r_2026_05_01 of public.r has 78.1 MB, 10 times the 7.81 MB that the partitions around it would have in the same time.',
    );
    await database.sql`analyze r`;
    expect((await inspectOnly({ url: role.url }, 'partition_skew', { now })).findings).toEqual(findings);
  });

  it('leaves out one that is locked', async () => {
    const other = database.connect();
    await other.unsafe('begin; lock table r_2026_05_01 in access exclusive mode');
    const { findings } = await inspectOnly(database, 'partition_skew', { now: '2026-10-20T00:00:00Z' });
    expect(findings).toMatchObject([{ check: 'locked', object: 'public.r_2026_05_01' }]);
    await other.unsafe('rollback');
  });
});
