import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECKS = ['brin_effectiveness', 'correlation'] as const;

const READINGS = `
  create table r (id bigint, device_id int, "timestamp" timestamptz not null) partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table "R 2" partition of r for values from ('2026-02-01') to ('2026-03-01');
  create table r_3 partition of r for values from ('2026-03-01') to ('2026-04-01')`;
const INDEX = 'create index "by Time" on r using brin ("timestamp") with (pages_per_range = 4)';

/** Twenty thousand readings of twenty devices in a month, as they are sorted. */
const load = (
  month: string,
  order: string,
  time = `'2026-${month}-01'::timestamptz + n / 20 * interval '40 minutes'`,
) => `
  insert into r select n, n % 20, ${time} from generate_series(0, 19999) n order by ${order}`;

const IN_ORDER = load('01', 'n');

describe('the order that BRIN indexes rely on', () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const make = async (...statements: readonly string[]) => {
    await database.sql.unsafe(READINGS);
    for (const statement of [...statements, INDEX, 'analyze']) await database.sql.unsafe(statement);
  };
  const look = async (check: string) => await inspectOnly(database, check);

  describe.each([
    ['no order', load('02', 'hashint8(n)')],
    ['the order of devices', load('02', 'n % 20, n')],
  ])('in %s on one partition', (_what, disorder) => {
    it.each([
      ['measured', 'create extension pageinspect schema public'],
      ['correlation', 'select'],
    ])('is found once, %s, and the fix helps', async (method, extension) => {
      await make(IN_ORDER, disorder, extension);
      const { exitCode, findings } = await look('brin_effectiveness');
      expect(exitCode).toBe(3);
      expect(findings).toEqual([
        expect.objectContaining({
          severity: 'warning',
          object: 'public."by Time"',
          evidence: expect.objectContaining({ method, partitions: 1, tables: ['public."R 2"'] }),
        }),
      ]);
      const note = await look('correlation');
      expect(note).toMatchObject({
        exitCode: 0,
        findings: [{ severity: 'info', object: 'public.r', evidence: { tables: ['public."R 2"'] } }],
      });
      await applyFixes(database, findings);
      for (const check of CHECKS) expect(await look(check)).toMatchObject({ findings: [], passed: [check] });
    });
  });

  it.each(CHECKS)('%s is unknown to a role that may not see the statistics of partitions', async (check) => {
    await make(IN_ORDER);
    const role = await createRole(database);
    await database.sql.unsafe(`grant select on r to ${role.name}`);
    const seen = await inspectOnly({ url: role.url }, check);
    await database.sql.unsafe(`grant select on r_1 to ${role.name}`);
    const granted = await inspectOnly({ url: role.url }, check);
    await dropRoles(database.sql, [role]);
    expect(seen).toMatchObject({
      exitCode: 3,
      findings: [{ severity: 'unknown', object: 'public."by Time"', evidence: { tables: ['public.r_1'] } }],
      passed: [],
    });
    expect(granted).toMatchObject({ findings: [], passed: [check] });
  });

  it.each([
    ['in the order of time', load('02', 'n')],
    ['newest first', load('02', 'n desc')],
    [
      'with one row in a hundred late',
      load(
        '02',
        'n',
        `'2026-02-01'::timestamptz + (n / 20 - case when n % 100 = 0 then mod(n * 7919, n / 20 + 1) else 0 end) * interval '40 minutes'`,
      ),
    ],
    [
      'of few rows',
      "insert into r select 1, 1, now() - now() + timestamptz '2026-02-02' from generate_series(1, 50)",
    ],
    ['in no order, with a B-tree', `${load('02', 'hashint8(n)')}; create index on r ("timestamp")`],
  ])('pass over rows %s, measured or not', async (_what, rows) => {
    await make(IN_ORDER, rows);
    for (const extension of ['select', 'create extension pageinspect']) {
      await database.sql.unsafe(extension);
      for (const check of CHECKS) expect(await look(check)).toMatchObject({ findings: [], passed: [check] });
    }
  });

  it.each(CHECKS)('%s waits for the statistics of a partition that was never analyzed', async (check) => {
    await database.sql.unsafe(READINGS);
    await database.sql.unsafe('alter table r_1 set (autovacuum_enabled = off)');
    await database.sql.unsafe(INDEX);
    await database.sql.unsafe(IN_ORDER);
    await until(async () => {
      const [row] =
        await database.sql`select n_live_tup > 0 as counted from pg_stat_user_tables where relname = 'r_1'`;
      return row?.counted === true;
    });
    expect(await look(check)).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: [],
      notYet: [{ check, ripeAt: null }],
    });
  });
});
