import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { days, leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const now = '2026-03-15T12:00:00Z';

describe('partition_gaps', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table whole (at timestamptz not null) partition by range (at);
      create table whole_0 partition of whole for values from (minvalue) to ('2025-12-31 12:34:56.789012Z');
      create table whole_1 partition of whole for values from ('2025-12-31 12:34:56.789012Z') to (maxvalue);
      create table empty (at timestamptz not null) partition by range (at);
      create table filled (at timestamptz not null) partition by range (at);
      ${leavesOf('filled', months('2026-01', 3))}
      create table filled_default partition of filled default;
      create table by_list (region text) partition by list (region);
      create table by_list_1 partition of by_list for values in ('a');
      create table "Holes ""1""" ("timestamp" timestamptz not null) partition by range ("timestamp");
      create table h1 partition of "Holes ""1""" for values from ('2026-01-01Z') to ('2026-02-01Z');
      create table h2 partition of "Holes ""1""" for values from ('2026-02-01 00:00:01Z') to ('2026-03-01Z');
      create table h3 partition of "Holes ""1""" for values from ('2026-06-01Z') to ('2026-07-01Z');
      create table h_default partition of "Holes ""1""" default;
      insert into "Holes ""1""" values ('2026-04-05Z');
      create table m (at timestamptz not null) partition by range (at);
      create table m_03 partition of m for values from ('2026-03-01Z') to ('2026-04-01Z') partition by range (at);
      ${leavesOf('m_03', days('2026-03-01', 32))}
      create table m_04 partition of m for values from ('2026-04-01Z') to ('2026-05-01Z') partition by range (at);
      ${leavesOf('m_04', days('2026-04-03', 29))}
      create table far (at timestamptz not null) partition by range (at);
      ${leavesOf('far', days('2026-03-01', 32))}
      create table far_2098 partition of far for values from ('2098-01-01Z') to ('2098-01-02Z')`);
    role = await createRole(database);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const odd = 'public."Holes ""1"""';

  it('names the holes of each table, whoever asks, in any time zone', async () => {
    const { findings, exitCode } = await inspectOnly(database, 'partition_gaps', { now });
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: odd,
        message:
          'No partition covers 2026-02-01 to 2026-02-01T00:00:01Z, 2026-03-01 to 2026-06-01: rows of those times go to DEFAULT.',
        evidence: { gapCount: 2, futureGaps: 1, hasDefault: true },
      },
      { object: 'public.far', evidence: { gaps: ['2026-04-01 to 2098-01-01'] }, fix: [] },
      { object: 'public.m', evidence: { gaps: ['2026-04-01 to 2026-04-03'], hasDefault: false } },
    ]);
    const env = { PGOPTIONS: '-c TimeZone=America/New_York -c DateStyle=German -c search_path=' };
    expect((await inspectOnly({ url: role.url }, 'partition_gaps', { now, env })).findings).toEqual(findings);
  });

  it('is content once its fixes have run', async () => {
    await database.sql`drop table far_2098`;
    await applyFixes(database, (await inspectOnly(database, 'partition_gaps', { now })).findings, { now });
    expect(await inspectOnly(database, 'partition_gaps', { now })).toMatchObject({
      findings: [],
      passed: ['partition_gaps'],
    });
    expect(await database.sql`select count(*)::int4 as n from only h_default`).toEqual([{ n: 0 }]);
  });

  it('finds no hole where partition_bounds has given a partition what it lacked of its period', async () => {
    await database.sql.unsafe(`
      create table late (id bigint, at timestamptz not null) partition by range (at);
      ${leavesOf('late', months('2026-01', 5))}
      create table late_2026_05 partition of late for values from ('2026-05-01 04:00Z') to ('2026-06-01 04:00Z');
      create table late_2026_06 partition of late for values from ('2026-06-01 04:00Z') to ('2026-07-01Z');
      create table late_2026_08 partition of late for values from ('2026-08-01Z') to ('2026-09-01Z');
      insert into late select n, timestamptz '2026-05-01 04:00Z' + n * interval '1 day' from generate_series(0, 59) n`);
    const of = async () =>
      await inspect(database, ['--only', 'partition_gaps,partition_bounds', '--table', 'late'], { now });
    const [gap, odd] = (await of()).findings;
    expect(gap).toMatchObject({ check: 'partition_gaps', evidence: { gapCount: 2 } });
    expect(odd).toMatchObject({ check: 'partition_bounds', evidence: { leafCount: 2 } });
    await applyFixes(database, odd === undefined ? [] : [odd]);
    const { findings } = await of();
    expect(findings).toMatchObject([{ evidence: { gaps: ['2026-07-01 to 2026-08-01'] } }]);
    await applyFixes(database, findings, { now });
    expect((await of()).findings).toEqual([]);
    expect(await database.sql`select count(*)::int as rows from late`).toEqual([{ rows: 60 }]);
    await database.sql`drop table late`;
  });

  it('takes a pending detach for no hole, but not for coverage either', async () => {
    await database.sql.unsafe(`
      create table p (at timestamptz not null) partition by range (at);
      ${leavesOf('p', months('2026-02', 4))}`);
    const [reader, detacher] = [database.connect(), database.connect()];
    const [backend] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await reader.unsafe('begin; select count(*) from p');
    const detach = detacher
      .unsafe('alter table p detach partition p_2026_03_01 concurrently')
      .catch((error) => error.code);
    await until(
      async () => (await database.sql`select from pg_inherits where inhdetachpending`).length === 1,
    );
    await database.sql`select pg_cancel_backend(${backend?.pid ?? 0})`;
    expect(await detach).toBe('57014');
    await reader.unsafe('rollback');
    expect((await inspectOnly(database, 'partition_gaps', { now })).findings).toEqual([]);
    const words = ['--only', 'detach_pending,partition_gaps,runway', '--table', 'p'];
    const { findings } = await inspect(database, words, { now });
    expect(findings.map(({ check, severity }) => ({ check, severity }))).toEqual([
      { check: 'detach_pending', severity: 'critical' },
      { check: 'runway', severity: 'critical' },
    ]);
    await applyFixes(
      database,
      findings.filter(({ check }) => check === 'runway'),
      { now },
    );
    // What was detached stands beside it now.
    expect((await inspect(database, words, { now })).findings).toEqual([]);
  });
});
