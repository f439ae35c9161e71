import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'index_missing_on_leaf';

const READINGS = `
  create table "r d" (id bigint, value bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
  create table r_1 partition of "r d" for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of "r d" for values from ('2026-02-01') to ('2026-03-01') partition by list (id);
  create table r_2_a partition of r_2 default;
  create table r_3 partition of "r d" for values from ('2026-03-01') to ('2026-04-01')`;

const LISTED = `
  create table l (id bigint, kind text not null, value bigint) partition by list (kind);
  create table "l A" partition of l for values in ('a');
  create table l_b partition of l for values in ('b') partition by hash (id);
  create table l_b_0 partition of l_b for values with (modulus 2, remainder 0);
  create table l_b_1 partition of l_b for values with (modulus 2, remainder 1)`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(() => database.drop());

  const expectMended = async () => {
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect(await database.sql`select from pg_index where not indisvalid`).toHaveLength(0);
  };

  it('finds an index that only some partitions have, once, and repair completes it', async () => {
    await database.sql.unsafe(`${READINGS}; create index "by v" on only "r d" (value);
      create index mine on r_1 (value); create index other on r_3 (value desc)`);
    const role = await createRole(database);
    const seen = (await inspectOnly({ url: role.url }, CHECK)).findings;
    await dropRoles(database.sql, [role]);
    const { exitCode, findings } = await inspect(database, ['indexes']);
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({
        check: CHECK,
        severity: 'warning',
        object: 'public."by v"',
        evidence: expect.objectContaining({
          partitions: 3,
          lackedBy: ['public.r_1', 'public.r_2', 'public.r_3'],
          builtButNotAttached: 1,
        }),
        fix: [`sensordb partitions repair --table 'public."r d"' --only indexes`],
      }),
    ]);
    expect(seen).toEqual(findings);
    await applyFixes(database, findings);
    await expectMended();
  });

  it('is critical where duplicates can get in', async () => {
    await database.sql.unsafe(`${READINGS};
      create table k (id bigint not null, at date not null) partition by range (at);
      create table k_1 partition of k for values from ('2026-01-01') to ('2026-02-01');
      create table k_2 partition of k for values from ('2026-02-01') to ('2026-03-01');
      alter table only k add primary key (id, at);
      alter table k_1 add primary key (id, at);
      alter index k_pkey attach partition k_1_pkey`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { severity: 'critical', object: 'public.k_pkey', evidence: { lackedBy: ['public.k_2'] } },
    ]);
    await applyFixes(database, findings);
    await expectMended();
    await database.sql.unsafe(`insert into k values (1, '2026-02-02') on conflict (id, at) do nothing`);
  });

  it('mends tables that sensordb itself does not manage by SQL', async () => {
    await database.sql.unsafe(`${LISTED};
      create index by_value on only l ((value * 2), id) where value > 0;
      create unique index by_key on only l (kind, id);
      create unique index aside on "l A" (kind, id)`);
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { severity: 'critical', object: 'public.by_key' },
      { severity: 'warning', object: 'public.by_value' },
    ]);
    await applyFixes(database, findings);
    await expectMended();
  });

  it('passes over what is complete, sub-partitions and foreign tables among it', async () => {
    await database.sql.unsafe(`${READINGS}; ${LISTED};
      create index on "r d" (value); create index on l (value);
      create foreign data wrapper w; create server s foreign data wrapper w;
      create index on r_1 (id);
      create foreign table far partition of "r d" for values from ('2026-04-01') to ('2026-05-01') server s`);
    await expectMended();
  });

  it('passes over a partition on which it is being built', async () => {
    await database.sql.unsafe(`
      create table r (at timestamptz not null) partition by range (at);
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create index r_at on only r (at)`);
    const writer = database.connect();
    await writer.unsafe('begin; lock table r_1 in row exclusive mode; select pg_current_xact_id()');
    const builder = database.connect();
    const build = builder.unsafe('create index concurrently on r_1 (at)');
    build.catch(() => {});
    await until(async () => (await database.sql`select from pg_index where not indisvalid`).length > 1);
    expect((await inspectOnly(database, CHECK)).findings).toEqual([]);
    await writer`rollback`;
    await build;
    expect((await inspectOnly(database, CHECK)).findings).toHaveLength(1);
  });
});
