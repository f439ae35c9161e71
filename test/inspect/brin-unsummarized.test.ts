import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'brin_unsummarized';
const config = `inspect: { thresholds: { ${CHECK}: { bytes: 100000 } } }`;

const READINGS = `
  create table r (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table "R 2" partition of r for values from ('2026-02-01') to ('2026-03-01');
  create table r_3 partition of r for values from ('2026-03-01') to ('2026-04-01');
  alter table r_1 set (autovacuum_enabled = off); alter table "R 2" set (autovacuum_enabled = off)`;

const NOT_YET = { exitCode: 0, findings: [], passed: [] };

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const insert = async (rows = 40_000) => {
    await database.sql.unsafe(`insert into r select n, timestamptz '2026-01-01' + n * interval '2 minutes'
      from generate_series(1, ${rows}) n`);
    await until(async () => {
      const [row] =
        await database.sql`select sum(n_ins_since_vacuum) >= ${rows} as counted from pg_stat_user_tables`;
      return row?.counted === true;
    });
  };
  /** Waits until VACUUM is counted, which up to 14 another process does. */
  const vacuumed = async () =>
    await until(async () => {
      const [row] =
        await database.sql`select max(n_ins_since_vacuum) < 10 as counted from pg_stat_user_tables`;
      return row?.counted === true;
    });
  const look = async () => await inspectOnly(database, CHECK, { config });

  it.each([
    ['measured', 'create extension pageinspect schema public'],
    ['inserted since the last vacuum', ''],
  ])('finds what was inserted and not vacuumed, %s, and its fix summarizes it', async (method, extension) => {
    await database.sql.unsafe(`${READINGS}; create index "by Time" on r using brin ("timestamp") with (pages_per_range = 4);
      ${extension}`);
    await insert();
    const { exitCode, findings } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({
        check: CHECK,
        severity: 'warning',
        object: 'public."by Time"',
        evidence: expect.objectContaining({ method, partitions: 2, cause: 'off' }),
      }),
    ]);
    const role = await createRole(database);
    expect((await inspectOnly({ url: role.url }, CHECK, { config })).findings).toMatchObject([
      { object: 'public."by Time"', evidence: { method: 'inserted since the last vacuum' } },
    ]);
    await dropRoles(database.sql, [role]);
    await applyFixes(database, findings);
    if (method !== 'measured') await vacuumed();
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('passes over what has been vacuumed, whose last range is not full', async () => {
    await database.sql.unsafe(`${READINGS}; create extension pageinspect;
      create index on r using brin ("timestamp") with (pages_per_range = 7)`);
    await insert();
    await database.sql`vacuum r`;
    await database.sql.unsafe(`insert into r values (1, '2026-01-31'), (1, '2026-02-27')`);
    const strict = `inspect: { thresholds: { ${CHECK}: { bytes: 1, percent: 0.001 } } }`;
    expect(await inspectOnly(database, CHECK, { config: strict })).toMatchObject({
      findings: [],
      passed: [CHECK],
    });
    await database.sql`drop extension pageinspect`;
    await vacuumed();
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('does not take the word of autosummarize for what it cannot see, until a VACUUM', async () => {
    await database.sql.unsafe(`${READINGS};
      create index "by Time" on r using brin ("timestamp") with (pages_per_range = 4, autosummarize = on);
      create index later on r using brin (id) with (pages_per_range = 4, autosummarize = on)`);
    await insert();
    const role = await createRole(database);
    for (const url of [database.url, role.url]) {
      expect(await inspectOnly({ url }, CHECK, { config })).toMatchObject({
        exitCode: 3,
        passed: [],
        findings: [
          {
            severity: 'unknown',
            object: 'public."by Time"',
            message: expect.stringContaining('It needs superuser and pageinspect, or a VACUUM.'),
            evidence: { logicalIndexes: 2, partitions: 4 },
            fix: [],
          },
        ],
      });
    }
    await dropRoles(database.sql, [role]);
    await database.sql`vacuum r`;
    await vacuumed();
    await insert(500);
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('cannot tell yet while autovacuum is due', async () => {
    await database.sql.unsafe(`${READINGS}; alter table r_1 reset (autovacuum_enabled);
      create index on r using brin ("timestamp") with (pages_per_range = 4, autosummarize = on)`);
    // Autovacuum passes over what is locked.
    const locker = database.connect();
    await locker.unsafe('begin; lock table r_1 in share update exclusive mode');
    await insert(20_000);
    expect(await look()).toMatchObject({ ...NOT_YET, notYet: [{ check: CHECK, ripeAt: null }] });
    await locker.unsafe('rollback');
  });

  it('cannot tell yet for some days after a VACUUM', async () => {
    await database.sql.unsafe(`${READINGS}; alter table r_1 reset (autovacuum_enabled);
      alter table r_1 set (autovacuum_vacuum_insert_threshold = 1000000000);
      create index on r using brin ("timestamp") with (pages_per_range = 4, autosummarize = on)`);
    await insert(20_000);
    const unclear = [{ severity: 'unknown', evidence: { indexes: ['public.r_1_timestamp_idx'] } }];
    expect((await look()).findings).toMatchObject(unclear);
    await database.sql`vacuum r`;
    await vacuumed();
    await insert(20_000);
    const young = await look();
    expect(young).toMatchObject(NOT_YET);
    expect(Date.parse(young.notYet[0]?.ripeAt ?? '') - Date.now()).toBeGreaterThan(6 * 86_400_000);
    const later = { config, now: new Date(Date.now() + 8 * 86_400_000) };
    expect((await inspectOnly(database, CHECK, later)).findings).toMatchObject(unclear);
  });

  it('cannot tell yet when the statistics were thrown away', async () => {
    await database.sql.unsafe(
      `${READINGS}; create index on r using brin ("timestamp") with (pages_per_range = 4); analyze`,
    );
    await insert();
    await database.sql.unsafe('analyze; select pg_stat_reset()');
    await until(async () => {
      const [row] = await database.sql`select sum(n_ins_since_vacuum) = 0 as gone from pg_stat_user_tables`;
      return row?.gone === true;
    });
    expect(await look()).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: [],
      notYet: [{ check: CHECK, ripeAt: null }],
    });
    await database.sql`vacuum r`;
    await until(async () => {
      const [row] = await database.sql`select count(last_vacuum)::int as n from pg_stat_user_tables`;
      return row?.n === 3;
    });
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK], notYet: [] });
  });

  it('leaves to autovacuum what it summarizes itself', async () => {
    await database.sql.unsafe(`${READINGS};
      create index on r using brin ("timestamp") with (pages_per_range = 4, autosummarize = on)`);
    await insert();
    await database.sql.unsafe(`create extension pageinspect; drop index r_timestamp_idx;
      create index on r using brin ("timestamp") with (pages_per_range = 4, autosummarize = on)`);
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
    await insert();
    const { exitCode, findings } = await look();
    // The autovacuum of the test server may have done it meanwhile.
    expect(exitCode).toBe(0);
    expect(findings.map(({ severity }) => severity)).toEqual(findings.length === 0 ? [] : ['info']);
  });

  describe('with autosummarize', () => {
    const on = `alter index r_1_timestamp_idx set (autosummarize = on); alter index "R 2_timestamp_idx" set (autosummarize = on)`;
    /** No request was ever made for what was inserted before it was set. */
    const load = async (rows: number, pagesPerRange: number) => {
      await database.sql.unsafe(`${READINGS}; create extension pageinspect;
        create index on r using brin ("timestamp") with (pages_per_range = ${pagesPerRange})`);
      await insert(rows);
      await database.sql.unsafe(on);
    };
    const changed = async (): Promise<number> => {
      const [row] = await database.sql`select pg_stat_get_mod_since_analyze('r_1'::regclass)::int as changed`;
      return row?.changed;
    };
    const isAutoanalyzed = async (): Promise<boolean> =>
      (await database.sql`select where pg_stat_get_last_autoanalyze_time('r_1'::regclass) is not null`)
        .length > 0;
    const lost = {
      severity: 'warning',
      object: 'public.r_timestamp_idx',
      message: expect.stringContaining('its requests were lost'),
      evidence: { cause: 'lost', partitions: 1 },
      fix: ["select brin_summarize_new_values('public.r_1_timestamp_idx'::regclass)"],
    };
    const due = { severity: 'info', object: 'public.r_timestamp_idx', evidence: { cause: 'due' } };

    it('takes what was full at an old ANALYZE for lost, and what came since for due', async () => {
      await load(20_000, 4);
      // Before 15 the statistics come late, and those of the rows may come after those of the ANALYZE.
      await until(async () => (await changed()) > 0 || (await isAutoanalyzed()));
      await database.sql`analyze r_1`;
      await until(async () => (await changed()) === 0);
      expect(await look()).toMatchObject({ exitCode: 0, findings: [due] });
      const later = { config, now: new Date(Date.now() + 4 * 3_600_000) };
      const { exitCode, findings } = await inspectOnly(database, CHECK, later);
      expect([exitCode, findings]).toMatchObject([3, [lost]]);
      await applyFixes(database, findings);
      expect((await inspectOnly(database, CHECK, later)).findings).toEqual([]);
    });

    it('takes more ranges for lost than autovacuum remembers requests', async () => {
      await load(20_000, 1);
      expect((await look()).findings).toMatchObject([due]);
      await database.sql.unsafe('truncate r');
      await database.sql.unsafe('alter table r_1 set (fillfactor = 10)');
      await insert(20_000);
      expect((await look()).findings).toMatchObject([lost]);
    });

    it('takes ranges before one that is summarized for lost, and tells them from an index where it is off', async () => {
      await load(40_000, 4);
      await database.sql.unsafe(`select brin_summarize_range('r_1_timestamp_idx', 100);
        alter index "R 2_timestamp_idx" set (autosummarize = off)`);
      expect((await look()).findings).toMatchObject([
        { severity: 'warning', object: 'public.r_timestamp_idx', evidence: { cause: 'off', partitions: 1 } },
        lost,
      ]);
    });
  });

  it('passes over empty partitions and small tables', async () => {
    await database.sql.unsafe(
      `${READINGS}; create extension pageinspect; create index on r using brin ("timestamp")`,
    );
    await insert(500);
    expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });
  });
});
