import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, type Inspection, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'index_unused';
const DAY_MS = 86_400_000;

/** Two partitions of 40,000 rows: an index on a bigint takes about a megabyte on each. */
const READINGS = `
  create table device (id bigint primary key);
  insert into device values (1);
  create table r (id bigint, device_id bigint references device, "timestamp" timestamptz not null, value bigint, primary key (id, "timestamp"))
    partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  create index "by Value" on r (value);
  create index on r (device_id);
  insert into r select n, 1, timestamptz '2026-01-01' + n % 2 * interval '31 days', n from generate_series(1, 80000) n`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const make = async (text: string) => {
    await database.sql.unsafe(text);
    await database.sql.unsafe('analyze');
  };
  const later = async (days: number, more: object = {}): Promise<Inspection> =>
    await inspectOnly(database, CHECK, { now: new Date(Date.now() + days * DAY_MS), ...more });

  /** Scans an index, and waits until that is counted. */
  const scan = async (index: string, query: string) => {
    const client = database.connect();
    await client.unsafe('set enable_seqscan = off');
    await client.unsafe(query);
    await client.end();
    await until(async () => {
      const [row] = await database.sql`select pg_stat_get_numscans(${index}::regclass) > 0 as scanned`;
      return row?.scanned === true;
    });
  };

  it('finds one of a partitioned table once, and its fix drops it', async () => {
    await make(READINGS);
    const { exitCode, findings } = await later(31);
    expect(findings).toEqual([
      expect.objectContaining({
        check: CHECK,
        severity: 'info',
        object: 'public."by Value"',
        evidence: expect.objectContaining({ partitions: 2, scans: 0, table: 'public.r' }),
      }),
    ]);
    expect(exitCode).toBe(0);
    const role = await createRole(database);
    const seen = await inspectOnly({ url: role.url }, CHECK, { now: new Date(Date.now() + 31 * DAY_MS) });
    expect(seen.findings).toMatchObject([{ object: 'public."by Value"' }]);
    await dropRoles(database.sql, [role]);
    await applyFixes(database, findings);
    expect(await later(31)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('warns of a large one', async () => {
    await make(READINGS);
    const config = `inspect: { thresholds: { ${CHECK}: { warning_bytes: 1500000 } } }`;
    expect((await later(31, { config })).findings).toMatchObject([{ severity: 'warning' }]);
  });

  it('takes one for used that is scanned on a single partition', async () => {
    await make(READINGS);
    await scan('r_2_value_idx', 'select from r_2 where value = 7');
    expect(await later(31)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('finds one whose last scan is long ago, where PostgreSQL tells', async () => {
    await make(READINGS);
    await scan('r_2_value_idx', 'select from r_2 where value = 7');
    const [{ tells } = { tells: false }] =
      await database.sql`select current_setting('server_version_num')::int >= 160000 as tells`;
    const { findings } = await later(101);
    expect(findings.map(({ object }) => object)).toEqual(tells ? ['public."by Value"'] : []);
  });

  it('judges by no statistics that are young', async () => {
    await make(READINGS);
    await database.sql`select pg_stat_reset()`;
    await until(async () => {
      const [row] = await database.sql`select stats_reset > now() - interval '1 minute' as young
        from pg_stat_database where datname = current_database()`;
      return row?.young === true;
    });
    const { exitCode, findings, passed, notYet } = await later(0);
    expect({ exitCode, findings, passed }).toEqual({ exitCode: 0, findings: [], passed: [] });
    const [{ check, ripeAt } = { check: '', ripeAt: null }] = notYet;
    expect(check).toBe(CHECK);
    expect(Math.abs(Date.parse(ripeAt ?? '') - Date.now() - 30 * DAY_MS)).toBeLessThan(DAY_MS);
  });

  it('takes the same index on several partitions for one, used where one of them is', async () => {
    await make(
      `${READINGS}; drop index "by Value"; create index a on r_1 (value); create index b on r_2 (value)`,
    );
    const { findings } = await later(31);
    expect(findings).toMatchObject([{ object: 'public.r', evidence: { indexes: ['public.a', 'public.b'] } }]);
    await scan('b', 'select from r_2 where value = 7');
    expect(await later(31)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('leaves out what does something else than being scanned, and what is small', async () => {
    await make(`
      create table t (a bigint primary key, b bigint unique, c bigint not null, d bigint, e bigint);
      create unique index identity on t (c);
      alter table t replica identity using index identity;
      create table u (a bigint references t, d bigint);
      create index on u (a, d);
      create table few (a bigint);
      create index on few (a);
      insert into few values (1);
      insert into t select n, n, n from generate_series(1, 60000) n;
      insert into u select 1, n from generate_series(1, 60000) n`);
    expect(await later(31)).toMatchObject({ findings: [], passed: [CHECK] });
  });
});
