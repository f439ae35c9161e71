import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { inspect } from '../support/inspect.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

/** A name of 63 bytes that has to be quoted. */
const LONG = `Re"ad.ings ${'é'.repeat(26)}`.slice(0, 37);

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

async function makeTable(database: TestDatabase, leaves: number, name = 'samples'): Promise<void> {
  await database.sql.unsafe(`
    create table ${quoted(name)} (id bigint not null, device_id bigint not null, "timestamp" timestamptz not null, value float8)
      partition by range ("timestamp");
    create unique index on ${quoted(name)} (id, "timestamp");
    create index on ${quoted(name)} using brin ("timestamp");
    do $$ begin for n in 0..${leaves - 1} loop
      execute format('create table %I partition of ${quoted(name)} for values from (%L) to (%L)', 'leaf ' || n,
                     date_trunc('day', now()) + (n - ${leaves} + 5) * interval '1 day',
                     date_trunc('day', now()) + (n - ${leaves} + 6) * interval '1 day');
    end loop; end $$`);
}

describe('inspect', () => {
  const databases: TestDatabase[] = [];
  const make = async (leaves: number, name?: string): Promise<TestDatabase> => {
    const database = await createDatabase();
    databases.push(database);
    await makeTable(database, leaves, name);
    return database;
  };
  afterAll(async () => {
    for (const database of databases) await database.drop();
  });

  it('sends as many statements for a hundred leaves as for a dozen', async () => {
    const counts: number[] = [];
    for (const leaves of [12, 120]) {
      const proxy = await startProxy((await make(leaves)).url);
      const { exitCode } = await runCli(['inspect', '--json'], { url: proxy.url });
      expect([0, 3]).toContain(exitCode);
      counts.push(proxy.statements.length);
      await proxy.close();
    }
    expect(counts[1]).toBe(counts[0]);
  });

  it('notes of a database without any partitioned table that it may not be the one that was meant', async () => {
    const database = await createDatabase();
    databases.push(database);
    await database.sql`create table t (id bigint primary key)`;
    const noted = { check: 'nothing_partitioned', severity: 'info', object: database.name };
    expect(await inspect(database)).toMatchObject({ exitCode: 0, findings: [noted] });
    expect((await inspect(database, ['--only', 'index_unused'])).findings).toEqual([]);
    await makeTable(database, 1);
    expect((await inspect(database)).findings).not.toContainEqual(expect.objectContaining(noted));
  });

  it('answers while somebody holds a leaf, which is unknown', async () => {
    const database = await make(6);
    const holder = database.connect();
    await holder.unsafe(`begin; lock table "leaf 2" in access exclusive mode`);
    const { exitCode, findings, passed } = await inspect(database);
    expect(exitCode).toBe(3);
    expect(findings.filter(({ check }) => check === 'locked')).toEqual([
      expect.objectContaining({
        severity: 'unknown',
        object: 'public."leaf 2"',
        message: expect.stringMatching(/could not be looked at: pid \d+ .*holds ACCESS EXCLUSIVE/),
      }),
    ]);
    const hidden = findings.flatMap(({ check, evidence }) =>
      check === 'locked' ? (evidence.checks as string[]) : [],
    );
    for (const check of hidden) expect(passed).not.toContain(check);
    await holder.unsafe('rollback');
    expect((await inspect(database)).findings.filter(({ check }) => check === 'locked')).toEqual([]);
  });

  it('answers in one finding while somebody holds a table with all its leaves', async () => {
    const database = await make(8);
    await makeTable(database, 0, 'other');
    await database.sql`create table "other's" partition of other default`;
    const holder = database.connect();
    await holder.unsafe('begin; lock table samples, only other in access exclusive mode');
    const locked = async () => (await inspect(database)).findings.filter(({ check }) => check === 'locked');
    expect(await locked()).toMatchObject([
      { object: 'public.other', evidence: { tables: ['public.other'], tableCount: 1 } },
      {
        severity: 'unknown',
        object: 'public.samples',
        message: expect.stringMatching(
          /^public.samples and 8 of its partitions could not be looked at: pid \d+ .*holds ACCESS EXCLUSIVE/,
        ),
        evidence: {
          tables: [
            'public."leaf 0"',
            'public."leaf 1"',
            'public."leaf 2"',
            'public."leaf 3"',
            'public."leaf 4"',
          ],
          tableCount: 9,
        },
      },
    ]);
    await holder.unsafe('rollback; begin; lock table "leaf 1", "leaf 2" in access exclusive mode');
    const second = database.connect();
    await second.unsafe('begin; lock table "leaf 3" in access exclusive mode');
    expect(await locked()).toMatchObject([
      { object: 'public."leaf 3"' },
      {
        object: 'public.samples',
        message: expect.stringMatching(/^2 partitions of public.samples could not/),
      },
    ]);
    await Promise.all([holder.unsafe('rollback'), second.unsafe('rollback')]);
  });

  it('answers while somebody queues for a leaf', async () => {
    const database = await make(6);
    const [reader, queuer] = [database.connect(), database.connect()];
    await reader.unsafe('begin; select count(*) from "leaf 3"');
    // It is sent as soon as somebody asks for its answer.
    const queued = queuer.unsafe('begin; lock table "leaf 3" in access exclusive mode; rollback').execute();
    const isQueued = async () =>
      (await database.sql`select from pg_locks where not granted and mode = 'AccessExclusiveLock'`).length >
      0;
    while (!(await isQueued()));
    const { findings } = await inspect(database);
    expect(findings.filter(({ check }) => check === 'locked')).toEqual([
      expect.objectContaining({
        object: 'public."leaf 3"',
        message: expect.stringContaining('waits for ACCESS EXCLUSIVE'),
      }),
    ]);
    await reader.unsafe('rollback');
    await queued;
  });

  describe('whatever the session', () => {
    let database: TestDatabase;
    const reports: unknown[] = [];
    beforeAll(async () => {
      database = await make(6, LONG);
      // A gap, rows in DEFAULT, and an index that one leaf lacks.
      await database.sql.unsafe(`drop table "leaf 1"; create table "de fault" partition of ${quoted(LONG)} default;
        insert into ${quoted(LONG)} (id, device_id, "timestamp") values (1, 1, '2001-01-01');
        create index odd on only ${quoted(LONG)} (value)`);
    });

    it.each([
      { timezone: "'UTC'", datestyle: "'ISO, MDY'", search_path: 'public' },
      { timezone: "'America/New_York'", datestyle: "'SQL, DMY'", search_path: "''" },
      { timezone: "'Australia/Lord_Howe'", datestyle: "'German'", search_path: 'pg_catalog, public' },
      { timezone: "'Asia/Kathmandu'", datestyle: "'Postgres, YMD'", quote_all_identifiers: 'on' },
    ])('says the same with $timezone and $datestyle', async (settings) => {
      for (const [name, value] of Object.entries(settings)) {
        await database.sql.unsafe(`alter database ${database.name} set ${name} to ${value}`);
      }
      const report = await inspect(database, [], { now: '2026-11-26T12:00:00Z' });
      reports.push(report);
      expect(report).toEqual(reports[0]);
    });
  });
});
