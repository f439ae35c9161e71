import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspect, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

const CHECK = 'index_parent_invalid';

const READINGS = `
  create table r (id bigint, at timestamptz not null) partition by range (at);
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01') partition by range (at);
  create table r_2_a partition of r_2 for values from ('2026-02-01') to ('2026-02-10');
  create table r_2_b partition of r_2 for values from ('2026-02-10') to ('2026-03-01')`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
    await database.sql.unsafe(READINGS);
  });
  afterEach(() => database.drop());

  it('finds one whose last part was invalid when it was attached, and its fix never drops it', async () => {
    const { sql } = database;
    await sql.unsafe(`insert into r values (1, '2026-01-15'), (1, '2026-01-15')`);
    await expect(
      sql.unsafe('create unique index concurrently r_1_key on r_1 (id, at)'),
    ).rejects.toMatchObject({ code: '23505' });
    await sql.unsafe(`create unique index "R key" on only r (id, at); create unique index r_2_key on r_2 (id, at);
      alter index "R key" attach partition r_1_key; alter index "R key" attach partition r_2_key; truncate r_1`);
    expect((await inspectOnly(database, CHECK)).findings).toEqual([]);
    await sql.unsafe('reindex index concurrently r_1_key');
    const insert = `insert into r values (1, '2026-01-15') on conflict (id, at) do nothing`;
    await expect(sql.unsafe(insert)).rejects.toMatchObject({ code: '42P10' });
    const role = await createRole(database);
    const seen = (await inspectOnly({ url: role.url }, CHECK)).findings;
    await dropRoles(sql, [role]);
    const { exitCode, findings } = await inspect(database, ['indexes']);
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({ check: CHECK, severity: 'critical', object: 'public."R key"' }),
    ]);
    expect(seen).toEqual(findings);
    expect(findings[0]?.fix.join()).not.toMatch(/drop/i);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    await sql.unsafe(insert);
  });

  it('finds one below which the partition is gone that lacked its part', async () => {
    const { sql } = database;
    await sql.unsafe(`create index r_at on only r (at); create index r_1_at on r_1 (at); create index r_2_at on only r_2 (at);
      create index r_2_a_at on r_2_a (at); alter index r_2_at attach partition r_2_a_at;
      alter index r_at attach partition r_1_at; alter index r_at attach partition r_2_at; drop table r_2_b`);
    const { findings } = await inspect(database, ['indexes']);
    expect(findings).toMatchObject([{ check: CHECK, severity: 'warning', object: 'public.r_at' }]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect(await sql`select from pg_index where not indisvalid`).toHaveLength(0);
  });

  it('notes one that can never become valid', async () => {
    await database.sql.unsafe(`create foreign data wrapper w; create server s foreign data wrapper w;
      create foreign table far partition of r for values from ('2026-04-01') to ('2026-05-01') server s;
      create index r_at on only r (at); create index r_1_at on r_1 (at); create index r_2_at on r_2 (at);
      alter index r_at attach partition r_1_at; alter index r_at attach partition r_2_at`);
    expect((await inspectOnly(database, CHECK)).findings).toMatchObject([
      { severity: 'info', object: 'public.r_at', fix: [], evidence: { foreignTables: 1 } },
    ]);
  });

  it('passes over valid ones, and over those of tables without partitions', async () => {
    await database.sql.unsafe(`create index on r (at); create table e (at date) partition by range (at);
      create index on only e (at)`);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });
});
