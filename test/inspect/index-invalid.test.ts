import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyFixes, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

const CHECK = 'index_invalid';

const READINGS = `
  create table r (id bigint, value bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
  create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
  create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01');
  insert into r select n / 2, n, '2026-01-15' from generate_series(1, 100) n`;

describe(CHECK, () => {
  let database: TestDatabase;
  beforeEach(async () => {
    database = await createDatabase();
    await database.sql.unsafe(READINGS);
  });
  afterEach(() => database.drop());

  /** Runs a statement that has to wait for a writer, and cuts it off. */
  const interrupted = async (statement: string, table: string) => {
    const writer = database.connect();
    await writer.unsafe(`begin; lock table ${table} in row exclusive mode; select pg_current_xact_id()`);
    const builder = database.connect();
    await builder`set statement_timeout = '100ms'`;
    await expect(builder.unsafe(statement)).rejects.toMatchObject({ code: '57014' });
    await writer`rollback`;
  };
  const unique = 'create unique index concurrently "R 1 key" on r_1 (id, "timestamp")';
  const failed = () => expect(database.sql.unsafe(unique)).rejects.toMatchObject({ code: '23505' });

  it('finds what duplicates left of a unique index, whoever looks; once they are gone, its fix builds it', async () => {
    await failed();
    const role = await createRole(database);
    const seen = (await inspectOnly({ url: role.url }, CHECK)).findings;
    await dropRoles(database.sql, [role]);
    const { exitCode, findings } = await inspectOnly(database, CHECK);
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({ check: CHECK, severity: 'warning', object: 'public."R 1 key"' }),
    ]);
    expect(seen).toEqual(findings);
    await database.sql`delete from r where value % 2 = 0`;
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    expect(await database.sql`select from pg_index where not indisvalid`).toHaveLength(0);
  });

  it('finds what is attached as critical where the index of the whole table is unique, and mends that, too', async () => {
    await failed();
    await database.sql.unsafe(`create unique index r_key on only r (id, "timestamp");
      create unique index r_2_key on r_2 (id, "timestamp");
      alter index r_key attach partition "R 1 key"; alter index r_key attach partition r_2_key`);
    const insert = `insert into r values (1, 1, '2026-01-15') on conflict (id, "timestamp") do nothing`;
    await expect(database.sql.unsafe(insert)).rejects.toMatchObject({ code: '42P10' });
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { severity: 'critical', object: 'public."R 1 key"', evidence: { parentIndex: 'public.r_key' } },
    ]);
    await database.sql`delete from r where value % 2 = 0`;
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    await database.sql.unsafe(insert);
  });

  it('takes several partitions of one index together', async () => {
    await database.sql`create index r_value on only r (value)`;
    for (const leaf of ['r_1', 'r_2']) {
      await interrupted(`create index concurrently ${leaf}_v on ${leaf} (value)`, leaf);
      await database.sql.unsafe(`alter index r_value attach partition ${leaf}_v`);
    }
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { severity: 'warning', object: 'public.r_value', evidence: { partitions: 2 } },
    ]);
    await applyFixes(database, findings);
    expect(await database.sql`select from pg_index where not indisvalid`).toHaveLength(0);
  });

  it('lets repair finish the interrupted build of an index that the partition has to have', async () => {
    await database.sql`create index r_value on only r (value)`;
    await interrupted('create index concurrently r_1_v on r_1 (value)', 'r_1');
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { object: 'public.r_1_v', fix: ['sensordb partitions repair --table public.r --only indexes'] },
    ]);
    await applyFixes(database, findings);
    expect(await database.sql`select from pg_index where not indisvalid`).toHaveLength(0);
  });

  it.each([
    ['REINDEX', 'reindex index concurrently plain_v_idx'],
    ['DROP', 'drop index concurrently plain_v_idx'],
  ])('finds what an interrupted %s left of the index of a plain table', async (_what, statement) => {
    await database.sql.unsafe('create table plain (v text); create index on plain (v)');
    await interrupted(statement, 'plain');
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { severity: 'warning', object: expect.stringMatching(/^public\.plain_v_idx/) },
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it('finds what an interrupted REINDEX left of a TOAST table', async () => {
    await database.sql.unsafe('create table plain (v text)');
    await interrupted('reindex table concurrently plain', 'plain');
    const { findings } = await inspectOnly(database, CHECK);
    expect(findings).toMatchObject([
      { object: expect.stringMatching(/^pg_toast\..*_ccnew$/), evidence: { table: 'public.plain' } },
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
  });

  it.each([
    ['CREATE', 'create index concurrently on r_1 (value)'],
    ['REINDEX', 'reindex index concurrently r_1_value_idx'],
  ])('passes over a %s that is at work, whoever looks', async (_what, statement) => {
    await database.sql`create index on r_1 (value)`;
    const writer = database.connect();
    await writer.unsafe('begin; lock table r_1 in row exclusive mode; select pg_current_xact_id()');
    const builder = database.connect();
    const build = builder.unsafe(statement);
    build.catch(() => {});
    await until(async () => (await database.sql`select from pg_index where not indisvalid`).length > 0);
    const role = await createRole(database);
    for (const url of [database.url, role.url]) {
      expect(await inspectOnly({ url }, CHECK)).toMatchObject({ findings: [], passed: [CHECK] });
    }
    await dropRoles(database.sql, [role]);
    await writer`rollback`;
    await build;
    expect((await inspectOnly(database, CHECK)).findings).toEqual([]);
  });
});
