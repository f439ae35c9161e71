import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'index_bloat';
/** Small tables: a few hundred kilobytes are much. */
const config = `inspect: { thresholds: { ${CHECK}: { wasted_bytes: 300000 } } }`;

/** Readings in the order of time, of 60 devices. */
const READINGS = `
  create table r (id bigint not null, device_id bigint not null, "timestamp" timestamptz not null, note text)
    partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  insert into r select n, n % 60, timestamptz '2026-01-01' + n * interval '40 seconds', md5(n::text)
    from generate_series(1, 120000) n`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`${READINGS.split('insert')[0]} alter table r_1 set (autovacuum_enabled = off);
      alter table r_2 set (autovacuum_enabled = off)`);
  });
  afterEach(() => database.drop());

  const make = async (indexes: string) => {
    await database.sql.unsafe(`${indexes}; insert${READINGS.split('insert')[1]}`);
    await vacuum();
  };
  /** Waits until what was changed is counted: by another process up to 14, a moment after the transaction from 15 on. */
  const counted = async (condition: string, tables = 1) =>
    await until(async () => {
      const rows = await database.sql.unsafe(
        `select from pg_stat_user_tables where relname in ('r_1', 'r_2') and ${condition}`,
      );
      return rows.length >= tables;
    });
  const vacuum = async () => {
    await counted('n_mod_since_analyze > 50000');
    await database.sql.unsafe('vacuum analyze r');
    await counted('n_mod_since_analyze = 0', 2);
  };
  const prune = async () => {
    await database.sql`delete from r_1 where id % 5 <> 0`;
    await vacuum();
  };
  const look = async () => await inspectOnly(database, CHECK, { config });
  const asRole = async () => {
    const role = await createRole(database);
    const seen = await inspectOnly({ url: role.url }, CHECK, { config });
    await dropRoles(database.sql, [role]);
    return seen;
  };

  it.each([
    ['from types', ''],
    ['measured', 'create extension pgstattuple schema public'],
  ])(
    'finds an index most of whose rows were deleted, %s, and its fix packs it',
    async (method, extension) => {
      await make(`create index "by Id" on r (id, "timestamp"); ${extension}`);
      expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
      await prune();
      const { exitCode, findings } = await look();
      expect(exitCode).toBe(3);
      expect(findings).toEqual([
        expect.objectContaining({
          check: CHECK,
          severity: 'warning',
          object: 'public."by Id"',
          evidence: expect.objectContaining({
            method,
            partitions: 1,
            indexes: ['public.r_1_id_timestamp_idx'],
          }),
          fix: ['reindex index concurrently public.r_1_id_timestamp_idx'],
        }),
      ]);
      const [percent] = findings.map(({ evidence }) => evidence.densityPercent);
      expect(percent).toBeGreaterThan(14);
      expect(percent).toBeLessThan(24);
      // A role without rights sees the same, since columns of fixed width need no statistics.
      expect((await asRole()).findings).toMatchObject([{ object: 'public."by Id"' }]);
      await applyFixes(database, findings);
      expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
    },
  );

  it('finds one on texts by their statistics, which are unknown to who may not see them', async () => {
    await make('create index r_note on r (note)');
    await prune();
    const { findings } = await look();
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.r_note', evidence: { method: 'from statistics' } },
    ]);
    expect(await asRole()).toMatchObject({
      exitCode: 3,
      findings: [{ severity: 'unknown', object: 'public.r_note' }],
      passed: [],
    });
    await applyFixes(database, findings);
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it.each([
    ['', 'calculated'],
    ['create extension pgstattuple', 'measured'],
  ])(
    'passes over new ones: in the order of time per device, deduplicated, with a fillfactor (%s)',
    async (extension) => {
      await make(`create index r_device on r (device_id, "timestamp"); create index on r (device_id);
      create index r_1_full on r_1 (id) with (fillfactor = 40); create index on r_2 (note) where id % 50 = 0;
      create index on r_2 (lower(note)); ${extension}`);
      const nothing = `inspect: { thresholds: { ${CHECK}: { wasted_bytes: 1 } } }`;
      expect(await inspectOnly(database, CHECK, { config: nothing })).toMatchObject({
        findings: [],
        passed: [CHECK],
      });
    },
  );

  it('does not judge by old statistics', async () => {
    await make('create index r_id on r (id)');
    await database.sql`update r_2 set id = id + 1`;
    await counted('n_mod_since_analyze > 50000');
    expect(await look()).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: [],
      notYet: [{ check: CHECK, ripeAt: null }],
    });
  });
});
