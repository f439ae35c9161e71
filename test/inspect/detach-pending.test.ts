import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyFixes, halfDetach, inspect, inspectOnly } from '../support/inspect.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

describe('detach_pending', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql.unsafe(`
      create table r (id bigint, "timestamp" timestamptz not null) partition by range ("timestamp");
      create table r_1 partition of r for values from ('2026-01-01') to ('2026-02-01');
      create table r_2 partition of r for values from ('2026-02-01') to ('2026-03-01')`);
  });
  afterAll(() => database.drop());

  it('passes where nothing is half detached', async () => {
    expect(await inspectOnly(database, 'detach_pending')).toMatchObject({
      exitCode: 0,
      findings: [],
      passed: ['detach_pending'],
    });
  });

  it('finds a detach that was cancelled while it waited for a reader, and its fix finishes it', async () => {
    const reader = database.connect();
    const detacher = database.connect();
    const read = reader.reserve();
    const held = await read;
    await held.unsafe('begin; select count(*) from r');
    const [{ pid } = { pid: 0 }] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const detach = detacher.unsafe('alter table r detach partition r_1 concurrently').catch((error) => error);
    await until(async () => {
      const [row] = await database.sql`select from pg_inherits where inhdetachpending`;
      return row !== undefined;
    });
    // Still at work: it will end by itself.
    expect((await inspectOnly(database, 'detach_pending')).findings).toEqual([]);
    await database.sql`select pg_cancel_backend(${pid})`;
    expect(await detach).toMatchObject({ code: '57014' });
    await held.unsafe('rollback');
    held.release();
    const { exitCode, findings } = await inspectOnly(database, 'detach_pending');
    expect(exitCode).toBe(3);
    expect(findings).toEqual([
      expect.objectContaining({ check: 'detach_pending', severity: 'critical', object: 'public.r_1' }),
    ]);
    await applyFixes(database, findings);
    expect(await inspectOnly(database, 'detach_pending')).toMatchObject({
      findings: [],
      passed: ['detach_pending'],
    });
  });

  const look = async () => (await inspectOnly(database, 'detach_pending')).findings;

  /** Begins a detach, or the end of one, that waits for a reader of the table; gives what lets both end. */
  const begin = async (statement: string, parent: string, before = '') => {
    const [reader, detacher] = [database.connect(), database.connect()];
    await reader.unsafe(`begin isolation level repeatable read; select count(*) from ${parent}`);
    if (before !== '') await detacher.unsafe(before);
    const [{ pid } = { pid: 0 }] = await detacher<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const detached = detacher.unsafe(statement).catch((error) => error);
    const end = async () => {
      await reader.unsafe('rollback');
      expect(await detached).not.toBeInstanceOf(Error);
    };
    await until(async () => {
      const waiting = await database.sql`
        select from pg_locks where pid = ${pid} and locktype = 'virtualxid' and not granted`;
      return waiting.length > 0;
    });
    return end;
  };

  it('is not put off by the detach of another table, be it of the same name in another schema', async () => {
    await database.sql.unsafe(`
      create schema other;
      create table other.r (like r) partition by range ("timestamp");
      create table other.r_2 partition of other.r for values from ('2026-02-01') to ('2026-03-01');
      create table "R.x" (t timestamptz) partition by range (t);
      create table "r_2""" partition of "R.x" for values from ('2026-02-01') to ('2026-03-01')`);
    await halfDetach(database, 'public.r', 'public.r_2');
    const ofQuoted = await begin(
      '/* r_2 */ ALTER TABLE Public."R.x" DETACH PARTITION "r_2""" CONCURRENTLY -- of r detach partition r_2 concurrently',
      '"R.x"',
    );
    expect(await look()).toMatchObject([{ severity: 'critical', object: 'public.r_2' }]);
    await ofQuoted();
    const ofOther = await begin(
      'alter table r detach partition r_2 concurrently',
      'other.r',
      'set search_path to other',
    );
    expect(await look()).toMatchObject([{ severity: 'critical', object: 'public.r_2' }]);
    await ofOther();
    const finalize = await begin('alter table r detach partition r_2 finalize', '"R.x"');
    expect(await look()).toEqual([]);
    await finalize();
    expect(await look()).toEqual([]);
  });

  it('is unknown to a role that sees no statements while one runs that may be the detach', async () => {
    const role = await createRole(database);
    await database.sql`create table r_3 partition of r for values from ('2026-03-01') to ('2026-04-01')`;
    const asNobody = () => inspectOnly({ url: role.url }, 'detach_pending');
    const end = await begin('alter table r detach partition r_3 concurrently', 'r');
    expect(await asNobody()).toMatchObject({
      passed: [],
      findings: [
        { severity: 'unknown', object: 'public.r_3', message: expect.stringMatching(/pid \d+/), fix: [] },
      ],
    });
    await end();
    await database.sql`create table r_4 partition of r for values from ('2026-04-01') to ('2026-05-01')`;
    await halfDetach(database, 'r', 'r_4');
    const busy = database.connect();
    await busy.unsafe('begin; select count(*) from r');
    expect((await asNobody()).findings).toMatchObject([{ severity: 'critical', object: 'public.r_4' }]);
    await busy.unsafe('rollback');
    await applyFixes(database, await look());
    await dropRoles(database.sql, [role]);
  });

  it.each([
    ['the beginning', `/* ${'é'.repeat(600)} */`, ''],
    ['nothing', '', 'set track_activities to off'],
  ])(
    'cannot tell while one may be at it of whose statement the server shows %s',
    async (_what, comment, before) => {
      await database.sql`create table r_6 partition of r for values from ('2026-06-01') to ('2026-07-01')`;
      const end = await begin(`${comment} alter table r detach partition r_6 concurrently`, 'r', before);
      expect(await look()).toMatchObject([
        {
          severity: 'unknown',
          object: 'public.r_6',
          message: expect.stringContaining('track_activity_query_size'),
          fix: [],
        },
      ]);
      await end();
      await database.sql`drop table r_6`;
    },
  );

  it('sees the wait for a prepared transaction as one of the detach', async () => {
    const role = await createRole(database);
    await database.sql`create table r_5 partition of r for values from ('2026-05-01') to ('2026-06-01')`;
    const writer = database.connect();
    await writer.unsafe(
      `begin; insert into r values (1, '2026-05-02'); prepare transaction 'detach_pending_test'`,
    );
    const detached = database.connect().unsafe('alter table r detach partition r_5 concurrently').execute();
    await until(async () => (await database.sql`select from pg_inherits where inhdetachpending`).length > 0);
    const asNobody = await inspectOnly({ url: role.url }, 'detach_pending');
    expect(asNobody.findings).toMatchObject([{ severity: 'unknown', object: 'public.r_5' }]);
    expect(await look()).toEqual([]);
    await database.sql`commit prepared 'detach_pending_test'`;
    await detached;
    await dropRoles(database.sql, [role]);
  });

  it('sees the partitions of partitions of the table that is named', async () => {
    await database.sql.unsafe(`
      create table deep (t timestamptz not null, region text) partition by range (t);
      create table deep_1 partition of deep for values from ('2026-01-01') to ('2026-02-01') partition by list (region);
      create table deep_1_a partition of deep_1 for values in ('a')`);
    await halfDetach(database, 'deep_1', 'deep_1_a');
    const of = (table: string) => inspect(database, ['--only', 'detach_pending', '--table', table]);
    expect((await of('deep')).findings).toMatchObject([{ object: 'public.deep_1_a' }]);
    expect((await of('r')).findings).toEqual([]);
    await applyFixes(database, (await of('deep')).findings);
    expect((await of('deep')).findings).toEqual([]);
  });
});
