import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { connectTo, createDatabase, startServer, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const LIST = ['partitions', 'list', '-t', 't'];
const list = (more: Partial<Pick<TestDatabase, 'url'>> = {}) =>
  runJson({ url: more.url ?? database.url }, LIST);

const TABLE = `create table t (at timestamptz not null, note text) partition by range (at);
  create table zulu partition of t for values from ('2026-02-01+00') to ('2026-03-01+00');
  create table alpha partition of t for values from ('2026-03-01+00') to ('2026-04-01 00:00:00.000001+00');
  create table mike partition of t for values from ('2026-06-01+00') to ('2026-07-01+00')`;
const DEFAULT = 'create table t_default partition of t default';

describe('while somebody holds ACCESS EXCLUSIVE', () => {
  it.each([
    ['a leaf', 'lock table alpha in access exclusive mode'],
    ['an index of a leaf', 'reindex index alpha_note_idx'],
    ['the index of the TOAST table of a leaf', 'reindex table %toast'],
  ])('on %s, list answers meanwhile and gives that size as null', async (_, statement) => {
    await database.sql.unsafe(`${TABLE}; create index on t (note)`);
    const [toast] = await database.sql<{ name: string }[]>`
      select reltoastrelid::regclass::text as name from pg_class where relname = 'alpha'`;
    const holder = database.connect();
    await holder.unsafe(`begin; ${statement.replace('%toast', toast?.name ?? '')}`);
    const { data, exitCode } = await list();
    expect(exitCode).toBe(0);
    expect(data.partitions.map((one: { bytes: number | null }) => one.bytes === null)).toEqual([
      false,
      true,
      false,
    ]);
    await holder.unsafe('rollback');
    expect((await list()).data.partitions[1].bytes).toBeGreaterThan(0);
  });

  it('or waits for it, list answers all the same', async () => {
    await database.sql.unsafe(TABLE);
    const [reader, waiter] = [database.connect(), database.connect()];
    await reader.unsafe('begin; select from alpha');
    const waiting = waiter.unsafe('begin; lock table alpha in access exclusive mode');
    waiting.catch(() => {});
    await until(async () => (await database.sql`select from pg_locks where not granted`).length > 0);
    expect((await list()).data.partitions.map((one: { bytes: unknown }) => one.bytes)).toEqual([
      8192,
      null,
      8192,
    ]);
    await reader.unsafe('rollback');
    await waiting;
    await waiter.unsafe('rollback');
  });

  it('on DEFAULT, its rows are not counted, and a warning says so', async () => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT}`);
    const holder = database.connect();
    await holder.unsafe('begin; lock table t_default in access exclusive mode');
    const result = await list();
    expect(result).toMatchObject({ exitCode: 0, data: { defaultRows: null, defaultRowsExact: false } });
    expect(result.warnings).toContainEqual({
      code: 'default_not_counted',
      message: expect.stringContaining('locked'),
    });
    await holder.unsafe('rollback');
  });

  it('on the parent itself, list answers', async () => {
    await database.sql.unsafe(TABLE);
    const holder = database.connect();
    await holder.unsafe('begin; lock table only t in access exclusive mode');
    expect(await list()).toMatchObject({ exitCode: 0, data: { runwayState: 'until' } });
    await holder.unsafe('rollback');
  });
});

describe('the rows of DEFAULT', () => {
  it.each([
    [100_000, 100_000, true],
    [100_001, 100_001, false],
    [100_500, 100_001, false],
  ])('%i are given as %i, exact: %s', async (rows, defaultRows, defaultRowsExact) => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT};
      insert into t_default select '2030-01-01+00' from generate_series(1, ${rows})`);
    expect((await list()).data).toMatchObject({ defaultRows, defaultRowsExact });
  });

  it('stay unknown to a role that may not read them', async () => {
    await database.sql.unsafe(`${TABLE}; ${DEFAULT}`);
    const role = await createRole(database);
    const result = await list({ url: role.url });
    expect(result).toMatchObject({ exitCode: 0, data: { defaultRows: null, defaultRowsExact: false } });
    expect(result.data.partitions).toHaveLength(4);
    expect(result.warnings).toContainEqual({
      code: 'default_not_counted',
      message: expect.stringContaining('may not'),
    });
    await dropRoles(database.sql, [role]);
  });
});

it('list sends as many statements for 2,000 partitions as for 5', async () => {
  const { readFile } = await import('node:fs/promises');
  const server = await startServer({ settings: { log_statement: 'all', log_min_messages: 'warning' } });
  const sql = connectTo(server.url);
  try {
    await sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
    const grow = (from: number, to: number) =>
      sql.unsafe(`do $$ begin for i in ${from}..${to} loop execute format(
        'create table t_%s partition of t for values from (%L) to (%L)', i,
        timestamptz '2020-01-01+00' + i * interval '1 day', timestamptz '2020-01-01+00' + (i + 1) * interval '1 day');
        end loop; end $$`);
    const count = async (): Promise<number> => {
      const before = (await readFile(server.logFile, 'utf8')).length;
      const result = await runJson(server, LIST);
      expect(result.exitCode).toBe(0);
      const log = (await readFile(server.logFile, 'utf8')).slice(before);
      return log.split(/(?:LOG: {2}statement|LOG: {2}execute [^:]*):/).length - 1;
    };
    await grow(1, 5);
    const few = await count();
    await grow(6, 2000);
    expect(await count()).toBe(few);
    expect(few).toBeGreaterThan(5);
  } finally {
    await sql.end({ timeout: 1 });
    await server.stop();
  }
});
