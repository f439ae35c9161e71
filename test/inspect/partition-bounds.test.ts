import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { days, leavesOf, months } from '../support/inspect-leaves.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

describe('partition_bounds', () => {
  let database: TestDatabase;
  let role: TestRole;

  beforeAll(async () => {
    database = await createDatabase();
    role = await createRole(database);
    // All is well with these: one interval, then another; ends without a bound; a rhythm of their own; too few to tell.
    await database.sql.unsafe(`
      create table turned (at timestamptz not null) partition by range (at);
      create table turned_0 partition of turned for values from (minvalue) to ('2025-11-01Z');
      ${leavesOf('turned', months('2025-11', 4))}
      ${leavesOf('turned', days('2026-02-01', 6))}
      create table turned_z partition of turned for values from ('2026-02-06Z') to (maxvalue);
      create table local (at timestamptz not null) partition by range (at);
      ${leavesOf(
        'local',
        months('2025-01', 9).map((day) => `${day} 05:00`),
      )}
      create table few (at timestamptz not null) partition by range (at);
      ${leavesOf('few', ['2026-01-01', '2026-01-16', '2026-02-01', '2026-03-01'])}`);
  });
  afterAll(async () => {
    await dropRoles(database.sql, [role]);
    await database.drop();
  });

  it('is quiet on a change of interval, on open ends, and on a rhythm of its own', async () => {
    expect(await inspectOnly(database, 'partition_bounds')).toMatchObject({
      findings: [],
      passed: ['partition_bounds'],
    });
  });

  it('notes half months, a quarter among months, and a bound made in another time zone', async () => {
    await database.sql.unsafe(`
      create table "Odd" ("timestamp" timestamptz not null) partition by range ("timestamp");
      create table "Q" partition of "Odd" for values from ('2025-04-01Z') to ('2025-07-01Z');
      create table o7 partition of "Odd" for values from ('2025-07-01Z') to ('2025-08-01Z');
      create table o8 partition of "Odd" for values from ('2025-08-01Z') to ('2025-09-01Z');
      create table o9 partition of "Odd" for values from ('2025-09-01Z') to ('2025-10-01Z');
      create table o10a partition of "Odd" for values from ('2025-10-01Z') to ('2025-10-16Z');
      create table o10b partition of "Odd" for values from ('2025-10-16Z') to ('2025-11-01Z');
      set timezone to 'America/New_York';
      create table o12 partition of "Odd" for values from ('2025-12-01') to ('2026-01-01');
      reset timezone`);
    const { findings, exitCode } = await inspectOnly(database, 'partition_bounds');
    expect(exitCode).toBe(0);
    expect(findings).toMatchObject([
      {
        severity: 'info',
        object: 'public."Odd"',
        evidence: {
          leaves: [
            'Q (2025-04-01 to 2025-07-01)',
            'o10a (2025-10-01 to 2025-10-16)',
            'o10b (2025-10-16 to 2025-11-01)',
            'o12 (2025-12-01T05:00:00Z to 2026-01-01T05:00:00Z)',
          ],
          intervals: ['month'],
        },
        // The others are parts of a month of which another has a part, or several months.
        fix: [
          expect.stringMatching(/^do .* attach partition public\.o12 FOR VALUES .*2025-12-01 00:00:00\+00/),
        ],
      },
    ]);
    const env = { PGOPTIONS: '-c TimeZone=America/New_York -c DateStyle=German -c search_path=' };
    expect((await inspectOnly({ url: role.url }, 'partition_bounds', { env })).findings).toEqual(findings);
  });

  describe('of one period each', () => {
    let shifted: TestDatabase;
    beforeEach(async () => {
      shifted = await createDatabase();
      // A session in New York made two of them: each has the first five hours of the next month, which stand in the way of the other.
      await shifted.sql.unsafe(`
        create table "R" (gone int, "at" timestamptz not null, id int generated always as identity, twice int generated always as (5) stored,
                          primary key (id, "at")) partition by range ("at");
        alter table "R" drop column gone;
        ${leavesOf('"R"', months('2025-07', 4)).replaceAll('"R"_', 'r_')}
        create table "Half" partition of "R" for values from ('2025-10-01Z') to ('2025-10-20Z');
        set timezone to 'America/New_York';
        create table n11 partition of "R" for values from ('2025-11-01 01:00') to ('2025-12-01');
        create table n12 ("at" timestamptz not null, twice int generated always as (5) stored, id int not null);
        alter table "R" attach partition n12 for values from ('2025-12-01') to ('2026-01-01');
        reset timezone;
        insert into "R" ("at") select '2025-11-02Z'::timestamptz + n * interval '1 hour' from generate_series(0, 1439) n`);
    });
    afterEach(() => shifted.drop());

    const rows = async (relation: string) =>
      (await shifted.sql.unsafe(`select count(*)::int as n, sum(id)::int as ids from ${relation}`))[0];

    it('gives each the bounds of its period, and rows their place', async () => {
      const { findings } = await inspectOnly(shifted, 'partition_bounds');
      expect(findings).toMatchObject([{ object: 'public."R"', evidence: { leafCount: 3 } }]);
      const before = await rows('"R"');
      await applyFixes(shifted, findings);
      expect(await inspectOnly(shifted, 'partition_bounds')).toMatchObject({
        findings: [],
        passed: ['partition_bounds'],
      });
      expect(await rows('"R"')).toEqual(before);
      expect(await rows('n12')).toMatchObject({ n: 744 });
      expect((await inspect(shifted, ['indexes', '--skip', 'index_unused'])).findings).toEqual([]);
    });

    it('needs no right but that of the owner, and works with rows whose foreign key is checked at the end', async () => {
      const owner = await createRole(shifted);
      await shifted.sql.unsafe(`
        create table device (id int primary key);
        insert into device select distinct id from "R";
        alter table "R" add foreign key (id) references device deferrable initially deferred;
        revoke temporary on database ${shifted.name} from public;
        ${['"R"', '"Half"', 'n11', 'n12', 'r_2025_07_01', 'r_2025_08_01', 'r_2025_09_01', 'device'].map((one) => `alter table ${one} owner to ${owner.name};`).join('')}`);
      const { findings } = await inspectOnly({ url: owner.url }, 'partition_bounds');
      const before = await rows('"R"');
      const session = shifted.connect();
      await session.unsafe(`set role ${owner.name}`);
      await session.unsafe(findings[0]?.fix[0] ?? '');
      expect((await inspectOnly(shifted, 'partition_bounds')).findings).toEqual([]);
      expect([await rows('"R"'), await rows('n12')]).toMatchObject([before, { n: 744 }]);
      await dropRoles(shifted.sql, [owner]);
    });

    it('prints none where it would leave a hole', async () => {
      await database.sql.unsafe(`create table wide (at timestamptz not null) partition by range (at);
        ${leavesOf('wide', months('2026-01', 6))}
        create table wide_06 partition of wide for values from ('2026-06-01Z') to ('2026-08-01Z');
        create table wide_08 partition of wide for values from ('2026-08-01 04:00Z') to ('2026-09-01Z')`);
      const { findings } = await inspect(database, ['--only', 'partition_bounds', '--table', 'wide']);
      expect(findings[0]?.evidence).toMatchObject({ leafCount: 2 });
      expect(findings[0]?.fix).toEqual([expect.stringMatching(/detach partition public\.wide_08;/)]);
      expect(findings[0]?.fix[0]).not.toContain('wide_06');
      await applyFixes(database, findings);
      const then = await inspect(database, ['--only', 'partition_bounds,partition_gaps', '--table', 'wide']);
      expect(then.findings).toMatchObject([{ check: 'partition_bounds', fix: [] }]);
    });

    it('prints none that would move rows into DEFAULT', async () => {
      await database.sql.unsafe(`create table late (at timestamptz not null) partition by range (at);
        ${leavesOf('late', months('2026-01', 6))}
        create table late_06 partition of late for values from ('2026-06-01Z') to ('2026-07-02Z');
        create table late_default partition of late default`);
      const look = async () =>
        (await inspect(database, ['--only', 'partition_bounds', '--table', 'late'])).findings;
      expect(await look()).toMatchObject([{ evidence: { leafCount: 1 }, fix: [] }]);
      await database.sql`drop table late_default`;
      expect(await look()).toMatchObject([{ fix: [expect.stringMatching(/^do /)] }]);
    });

    it('changes nothing where a row has no place to go to', async () => {
      await shifted.sql`insert into "R" ("at") values ('2026-01-01 02:00Z')`;
      const before = [await rows('"R"'), await rows('n11'), await rows('n12')];
      const { findings } = await inspectOnly(shifted, 'partition_bounds');
      await expect(shifted.sql.unsafe(findings[0]?.fix[0] ?? '')).rejects.toMatchObject({ code: '23514' });
      expect([await rows('"R"'), await rows('n11'), await rows('n12')]).toEqual(before);
    });

    it('changes nothing where a trigger keeps a row from its place', async () => {
      const { findings } = await inspectOnly(shifted, 'partition_bounds');
      await shifted.sql.unsafe(`
        create function swallow() returns trigger language plpgsql as 'begin return null; end';
        create trigger swallow before insert on "R" for each row execute function swallow()`);
      const before = await rows('"R"');
      await expect(shifted.sql.unsafe(findings[0]?.fix[0] ?? '')).rejects.toMatchObject({ code: 'P0001' });
      expect(await rows('"R"')).toEqual(before);
    });

    it('moves rows with a column that PL/pgSQL has a variable of', async () => {
      await shifted.sql`alter table "R" add found int`;
      await applyFixes(shifted, (await inspectOnly(shifted, 'partition_bounds')).findings);
      expect((await inspectOnly(shifted, 'partition_bounds')).findings).toEqual([]);
    });

    it.each([
      [
        'a trigger',
        `create function seen() returns trigger language plpgsql as 'begin return new; end';
         create trigger seen before insert on "R" for each row execute function seen()`,
      ],
      ['a rule', 'create rule seen as on insert to "R" do also select 1'],
      [
        'a foreign key that leads to a partition',
        'create table child (id int, at timestamptz, foreign key (id, at) references n11 on delete cascade)',
      ],
      ['a publication', 'create publication seen for table "R"'],
    ])('prints no statement where %s would see rows move', async (_, make) => {
      await shifted.sql.unsafe(make);
      const { findings } = await inspectOnly(shifted, 'partition_bounds');
      expect(findings).toMatchObject([{ object: 'public."R"', fix: [] }]);
    });
  });
});
