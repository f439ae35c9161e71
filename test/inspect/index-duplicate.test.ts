import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { runMigrations } from '../support/migrations.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'index_duplicate';

const READINGS = `
  create table r (id bigint, device_id bigint, "timestamp" timestamptz not null, value float8, primary key (id, "timestamp"))
    partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  create index r_brin on r using brin ("timestamp");
  create index r_device on r (device_id, "timestamp")`;

const TABLE =
  'create table t (a int, b int, c text, d int[], at timestamptz, deleted bool); create table u (a int);';

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const look = async () => await inspectOnly(database, CHECK);
  const expectMended = async () => expect(await look()).toMatchObject({ findings: [], passed: [CHECK] });

  it('finds a duplicate of a partitioned table once, whoever looks, and its fix drops the younger', async () => {
    await database.sql.unsafe(`${READINGS}; create index "by Device" on r (device_id, "timestamp")`);
    const role = await createRole(database);
    const seen = (await inspectOnly({ url: role.url }, CHECK)).findings;
    await dropRoles(database.sql, [role]);
    const { exitCode, findings } = await look();
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({
        check: CHECK,
        severity: 'warning',
        object: 'public."by Device"',
        evidence: expect.objectContaining({ coveredBy: 'public.r_device', table: 'public.r' }),
      }),
    ]);
    expect(seen).toEqual(findings);
    await applyFixes(database, findings);
    await expectMended();
  });

  it('finds what a partition has beside the index of the table, and never the attached one', async () => {
    await database.sql.unsafe(`${READINGS}; create index by_hand on r_2 (device_id, "timestamp")`);
    const { findings } = await look();
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.by_hand', evidence: { partitions: 1 } },
    ]);
    await applyFixes(database, findings);
    await expectMended();
  });

  it('takes the same duplicate on several partitions together', async () => {
    await database.sql.unsafe(
      `${READINGS}; create index one on r_1 (device_id); create index two on r_2 (device_id)`,
    );
    const { findings } = await look();
    expect(findings).toMatchObject([
      { severity: 'info', object: 'public.r', evidence: { indexes: ['public.one', 'public.two'] } },
    ]);
    await applyFixes(database, findings);
    await expectMended();
  });

  it.each([
    ['info', 'x', 'create index x on t (a); create index y on t (a, b)'],
    ['info', 'x', 'create index x on t (a); create unique index y on t (a, b)'],
    ['info', 'x', 'create index x on t (a) include (b); create index y on t (a, c, b)'],
    ['warning', 'y', 'create index x on t (lower(c), a); create index y on t (lower(c), a)'],
    ['warning', 'y', 'create index x on t (a) where b in (1, 2); create index y on t (a) where b in (1, 2)'],
    ['warning', 'x', 'create unique index x on t (a); alter table t add constraint y unique (a)'],
    [
      'warning',
      'y',
      'alter table t add constraint x primary key (a); alter table t add constraint y unique (a)',
    ],
    ['warning', 'y', 'create index x on t using gin (d); create index y on t using gin (d)'],
    ['info', 'x', 'create index x on t using brin (at); create index y on t using brin (a, at)'],
    ['info', 'x', 'create index x on t (a); create unique index y on t (a)'],
  ])('finds, as %s, %s of: %s', async (severity, name, indexes) => {
    await database.sql.unsafe(`${TABLE}${indexes}`);
    const { findings } = await look();
    expect(findings).toMatchObject([{ severity, object: `public.${name}` }]);
    await applyFixes(database, findings);
    await expectMended();
  });

  it.each([
    ['unique', 'create unique index on t (a); create index on t (a, b)'],
    ['what INCLUDE holds', 'create index on t (a) include (b); create index on t (a, c)'],
    ['operator class', 'create index on t (c); create index on t (c text_pattern_ops)'],
    ['collation', 'create index on t (c); create index on t (c collate "C")'],
    ['order', 'create index on t (a, b desc); create index on t (a, b)'],
    ['nulls', 'create index on t (a nulls first); create index on t (a)'],
    [
      'predicate',
      'create index on t (a) where not deleted; create index on t (a); create index on t (a) where b > 1',
    ],
    ['expression', 'create index on t (lower(c)); create index on t (upper(c)); create index on t (c)'],
    [
      'method',
      'create index on t (at); create index on t using brin (at); create index on t using hash (at)',
    ],
    ['second column', 'create index on t (b); create index on t (a, b)'],
    [
      'range size',
      'create index on t using brin (at); create index on t using brin (at) with (pages_per_range = 8)',
    ],
    ['deferrability', 'create unique index on t (a); alter table t add constraint k unique (a) deferrable'],
    [
      'what a foreign key refers to',
      'alter table t add primary key (a, b); create unique index k on t (b, a); create table v (a int, b int, foreign key (b, a) references t (b, a))',
    ],
    ['tables', 'create index on t (a); create index on u (a)'],
  ])('passes over indexes that differ by %s', async (_what, indexes) => {
    await database.sql.unsafe(`${TABLE}${indexes}`);
    await expectMended();
  });

  it('leaves a narrow one alone that is scanned beside a wide one that is not', async () => {
    await database.sql.unsafe(`${TABLE}create index x on t (a); insert into t values (1)`);
    const client = database.connect();
    await client.unsafe('set enable_seqscan = off; select from t where a = 1');
    await client.end();
    await database.sql.unsafe('create index y on t (a, b)');
    await until(async () => (await look()).findings.length === 0);
    await database.sql.unsafe('drop index y; create unique index y on t (a, b)');
    expect((await look()).findings).toMatchObject([{ severity: 'info', object: 'public.x' }]);
  });

  it('passes over the tables that sensordb makes, and over a partition’s own index', async () => {
    await runMigrations(database.sql, 'public');
    await database.sql.unsafe(`${READINGS}; create index on r_1 (value)`);
    await expectMended();
  });
});
