import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly, type ShownFinding } from '../support/inspect.ts';
import { days, leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const LONG = `Meß"werte ${'x'.repeat(52)}`;
const QUOTED = `"${LONG.replaceAll('"', '""')}"`;

const DDL = `
  create table monthly (id bigint, at timestamptz not null) partition by range (at);
  ${leavesOf('monthly', months('2026-01', 4))}
  create table caught ("timestamp" timestamp not null) partition by range ("timestamp");
  ${leavesOf('caught', months('2026-01', 4))}
  create table caught_default partition of caught default;
  create table daily (at date not null) partition by range (at);
  ${leavesOf('daily', days('2026-03-01', 34))}
  create table gappy (at timestamptz not null) partition by range (at);
  ${leavesOf('gappy', months('2026-01', 4))}
  create table gappy_later partition of gappy for values from ('2026-04-02Z') to ('2027-01-01Z');
  create table endless (at timestamptz not null) partition by range (at);
  create table endless_1 partition of endless for values from ('2026-01-01Z') to (maxvalue);
  create table ${QUOTED} (at timestamptz not null) partition by range (at);
  create table odd_1 partition of ${QUOTED} for values from (minvalue) to ('2026-04-01Z');
  -- What has no runway, or one that no bound tells.
  create table by_list (region text, at timestamptz) partition by list (region);
  create table by_list_1 partition of by_list for values in ('a');
  create table by_number (n bigint) partition by range (n);
  create table by_number_1 partition of by_number for values from (0) to (10);
  create table plain (at timestamptz)`;

describe('runway', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(DDL);
    role = await createRole(database);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const severities = (findings: readonly ShownFinding[]) =>
    Object.fromEntries(findings.map(({ object, severity }) => [object, severity]));
  const at = async (now: string) => severities((await inspectOnly(database, 'runway', { now })).findings);

  it('is quiet while there is time', async () => {
    expect(await inspectOnly(database, 'runway', { now: '2026-03-15T12:00:00Z' })).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: ['runway'],
    });
  });

  it('warns a week ahead, of daily partitions two, and is critical two days, or half a partition, ahead', async () => {
    const odd = `public.${QUOTED}`;
    const monthly = {
      'public.monthly': 'warning',
      'public.caught': 'warning',
      'public.gappy': 'warning',
      [odd]: 'warning',
    };
    expect(await at('2026-03-26T12:00:00Z')).toEqual(monthly);
    expect(await at('2026-03-31T12:00:00Z')).toMatchObject({
      'public.monthly': 'critical',
      'public.gappy': 'critical',
    });
    expect(await at('2026-04-01T13:00:00Z')).toMatchObject({
      'public.monthly': 'critical',
      'public.daily': 'warning',
    });
    expect(await at('2026-04-02T13:00:00Z')).toMatchObject({ 'public.daily': 'critical' });
    expect(await at('2026-04-04T13:00:00Z')).toMatchObject({ 'public.daily': 'critical' });
  });

  it('says since when and what becomes of the rows', async () => {
    const { findings } = await inspectOnly(database, 'runway', { now: '2026-03-31T12:00:00Z' });
    const of = (object: string) => findings.find((finding) => finding.object === object);
    expect(of('public.monthly')).toMatchObject({
      message: 'Runway: inserts start to fail on 2026-04-01, in 0 days.',
      evidence: { runwayState: 'until', runwayUntil: '2026-04-01T00:00:00Z', hasDefault: false },
    });
    expect(of('public.caught')?.message).toBe('Runway: rows go to DEFAULT on 2026-04-01, in 0 days.');
    const later = await inspectOnly(database, 'runway', { now: '2026-04-01T12:00:00Z' });
    expect(later.findings.find(({ object }) => object === 'public.monthly')).toMatchObject({
      message: 'Runway: none. No partition covers the present: inserts fail now.',
      evidence: { runwayState: 'none', runwayUntil: null },
    });
  });

  it('finds the same as a role without any right, in another time zone', async () => {
    const now = '2026-03-31T12:00:00Z';
    const env = { PGOPTIONS: '-c TimeZone=America/New_York -c DateStyle=German -c search_path=' };
    const { findings } = await inspectOnly(database, 'runway', { now });
    const seen = await inspectOnly({ url: role.url }, 'runway', { now, env });
    expect(seen.findings).toEqual(findings);
    expect(findings).not.toEqual([]);
  });

  it('is content once its fixes have run', async () => {
    const now = '2026-04-02T13:00:00Z';
    const { findings } = await inspectOnly(database, 'runway', { now });
    expect(Object.keys(severities(findings)).toSorted()).toEqual(
      ['public.caught', 'public.daily', 'public.monthly', `public.${QUOTED}`].toSorted(),
    );
    await database.sql`insert into caught values ('2026-04-02 12:00')`;
    await applyFixes(database, findings, { now });
    expect(await inspectOnly(database, 'runway', { now })).toMatchObject({
      findings: [],
      passed: ['runway'],
    });
    expect(await database.sql`select tableoid::regclass::text as leaf from caught`).toEqual([
      { leaf: 'caught_2026_04' },
    ]);
  });

  it('only notes an archive, and has nothing to mend there', async () => {
    const { findings } = await inspect(database, ['--only', 'runway', '--table', 'gappy'], {
      now: '2027-06-01T00:00:00Z',
    });
    expect(findings).toMatchObject([{ severity: 'info', object: 'public.gappy', fix: [] }]);
  });
});

describe('runway of partitions that are partitioned further', () => {
  let database: TestDatabase;
  const now = '2026-03-26T00:00:00Z';

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table m (at timestamptz not null, region text) partition by range (at);
      create table m_03 partition of m for values from ('2026-03-01Z') to ('2026-04-01Z') partition by range (at);
      ${leavesOf('m_03', days('2026-03-01', 32))}
      create table m_04 partition of m for values from ('2026-04-01Z') to ('2026-05-01Z') partition by range (at);
      create table m_default partition of m default partition by range (at);
      create table l (at timestamptz not null, region text) partition by list (region);
      create table l_a partition of l for values in ('a') partition by range (at);
      ${leavesOf('l_a', months('2026-03', 4))}
      create table mixed (at timestamptz not null, region text) partition by range (at);
      create table mixed_03 partition of mixed for values from ('2026-03-01Z') to ('2026-06-01Z') partition by list (region);
      create table mixed_03_a partition of mixed_03 default partition by range (at);
      create table mixed_03_a1 partition of mixed_03_a for values from (minvalue) to (maxvalue);
      create table computed (at timestamptz not null) partition by range ((at at time zone 'UTC'));
      ${leavesOf('computed', months('2026-03', 2))}
      create table wide (at timestamptz not null, n int) partition by range (at, n);
      create table wide_1 partition of wide for values from ('2026-03-01Z', minvalue) to ('2026-04-01Z', 7);
      create table wide_2 partition of wide for values from ('2026-04-01Z', 7) to ('2026-04-01Z', 9)`);
  });
  afterAll(() => database.drop());

  it('ends where the last level ends, and is mended there', async () => {
    const { findings } = await inspect(database, ['--only', 'runway', '--table', 'm'], { now });
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.m', evidence: { runwayUntil: '2026-04-01T00:00:00Z' } },
    ]);
    await applyFixes(database, findings, { now });
    expect((await inspect(database, ['--only', 'runway', '--table', 'm'], { now })).findings).toEqual([]);
    const [count] =
      await database.sql`select count(*)::int4 as leaves from pg_inherits where inhparent = 'm_04'::regclass`;
    expect(count).toEqual({ leaves: 30 });
  });

  it('looks at a partition that is named as at any table', async () => {
    const words = ['--only', 'runway', '--table', 'l_a'];
    expect((await inspect(database, words, { now: '2026-05-31T00:00:00Z' })).findings).toMatchObject([
      { severity: 'critical', object: 'public.l_a' },
    ]);
  });

  it('finds keys that no command takes, too, and prints none for them', async () => {
    const { findings } = await inspectOnly(database, 'runway', { now });
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.computed', fix: [] },
      { severity: 'warning', object: 'public.wide', fix: [] },
    ]);
  });
});
