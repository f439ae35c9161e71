import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const now = '2026-06-15T12:00:00Z';

describe('duplicate_ids', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    await database.sql.unsafe(`
      create table r (id bigserial, device int, at timestamptz not null, primary key (id, at)) partition by range (at);
      ${leavesOf('r', months('2026-01', 9))}
      create table r_default partition of r default;
      insert into r (at) select timestamptz '2026-01-01Z' + n * interval '30 minutes' from generate_series(1, 8000) n;
      insert into r (at) select timestamptz '2026-01-15Z' + n * interval '1 minute' from generate_series(1, 50) n;
      -- What stands twice by design, or has no index to be looked up by.
      create table samples (device bigint, at timestamptz not null, primary key (device, at)) partition by range (at);
      ${leavesOf('samples', months('2026-05', 3))}
      insert into samples select n % 3, timestamptz '2026-05-01Z' + n * interval '1 hour' from generate_series(1, 900) n;
      create table late (id bigserial, at timestamptz not null, primary key (at, id)) partition by range (at);
      ${leavesOf('late', months('2026-05', 3))}
      insert into late values (1, '2026-05-01Z'), (1, '2026-06-01Z');
      create table "I d" ("Id" int generated always as identity, "timestamp" timestamp not null, unique ("Id", "timestamp"))
        partition by range ("timestamp");
      create table "I 1" partition of "I d" for values from ('2026-05-01') to ('2026-06-01');
      create table "I 2" partition of "I d" for values from ('2026-06-01') to ('2026-07-01');
      insert into "I d" ("timestamp") select timestamp '2026-05-01' + n * interval '1 hour' from generate_series(1, 900) n`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  const look = async (options = {}) => await inspectOnly(database, 'duplicate_ids', { now, ...options });

  it('is quiet where a sequence gave all ids, be they ever so late', async () => {
    expect(await look()).toMatchObject({ findings: [], passed: ['duplicate_ids'] });
  });

  it('finds a sequence that was set back, and what it has given twice since', async () => {
    // As after a restore that brings the rows and not the sequence.
    await database.sql`select setval('r_id_seq', 1, false)`;
    await database.sql`
      insert into r (at) select timestamptz '2026-06-14Z' + n * interval '1 second' from generate_series(1, 20) n`;
    const { findings, exitCode } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r',
        evidence: {
          column: 'id',
          duplicateIds: 20,
          examples: ['1', '2', '3', '4', '5'],
          sequence: 'public.r_id_seq',
          sequenceAt: '20',
          highestId: '8050',
          partitionsLookedAt: [
            'public.r_2026_01_01',
            'public.r_2026_04_01',
            'public.r_2026_05_01',
            'public.r_2026_06_01',
            'public.r_default',
          ],
        },
      },
    ]);
    expect(findings[0]?.message).toMatch(/Looked at \d+ rows in 5 of 9 partitions\.$/);
    const env = { PGOPTIONS: '-c TimeZone=America/New_York -c DateStyle=German -c search_path=' };
    expect((await look({ env })).findings).toEqual(findings);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
    expect(await database.sql`select id from r group by id having count(*) > 1`).toEqual([]);
    const [row] = await database.sql`select count(*)::int4 as n from r where id > 8050`;
    expect(row).toEqual({ n: 20 });
  });

  it('finds what came with ids of its own, within one partition, under odd names', async () => {
    await database.sql`
      insert into "I d" ("Id", "timestamp") overriding system value
        select n, timestamp '2026-06-13' + n * interval '1 minute' from generate_series(880, 884) n`;
    const { findings } = await look();
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public."I d"',
        evidence: { duplicateIds: 5, examples: ['880', '881', '882', '883', '884'] },
      },
    ]);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
    expect(await database.sql`select "Id" from "I d" group by 1 having count(*) > 1`).toEqual([]);
  });

  it('finds a sequence that will give what is there', async () => {
    await database.sql`insert into r (id, at) values (9000, '2026-06-10Z')`;
    const { findings } = await look();
    expect(findings).toMatchObject([
      {
        severity: 'warning',
        evidence: { duplicateIds: 0, highestId: '9000' },
        fix: ["select setval('public.r_id_seq', 9000)"],
      },
    ]);
    await applyFixes(database, findings, { now });
    expect((await look()).findings).toEqual([]);
  });

  it('says to a role what it could not see, and sees through the table what it may', async () => {
    const asRole = async () =>
      await inspect({ url: role.url }, ['--only', 'duplicate_ids', '--table', 'r'], { now });
    const everything = await asRole();
    expect(everything).toMatchObject({
      exitCode: 3,
      passed: [],
      findings: [{ severity: 'unknown', object: 'public.r' }],
    });
    expect(everything.findings[0]?.evidence.needs).toEqual([
      'SELECT on public.r_2026_01_01, public.r_2026_04_01, public.r_2026_05_01, public.r_2026_06_01, public.r_default',
      'USAGE or SELECT on public.r_id_seq, which nobody alters',
    ]);
    await database.sql`insert into r (id, at) values (1, '2026-06-11Z')`;
    await database.sql.unsafe(`grant select (id, at) on r to ${role.name}`);
    const seen = await asRole();
    expect(seen.findings).toMatchObject([
      {
        severity: 'warning',
        object: 'public.r',
        evidence: { duplicateIds: 1, examples: ['1'], sequenceAt: null },
      },
      { severity: 'unknown', object: 'public.r' },
    ]);
    await database.sql.unsafe(
      `grant select on r_default to ${role.name}; grant usage on r_id_seq to ${role.name}`,
    );
    const { findings } = await look();
    expect((await asRole()).findings).toEqual(findings);
    await applyFixes(database, findings, { now });
    expect((await asRole()).passed).toEqual(['duplicate_ids']);
  });

  it('leaves out a partition that is locked', async () => {
    const other = database.connect();
    await other.unsafe('begin; lock table r_2026_06_01 in access exclusive mode');
    expect((await look()).findings).toMatchObject([{ check: 'locked', object: 'public.r_2026_06_01' }]);
    await other.unsafe('rollback');
  });
});
