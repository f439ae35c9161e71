import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startProxy } from '../support/proxy.ts';
import { createReadings, drift, expectLikeNew, mended, repair } from '../support/repair.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let template: TestDatabase;
let database: TestDatabase;
beforeAll(async () => {
  template = await createDatabase();
  await createReadings(template, 'pg_monitor');
  await template.leave();
});
beforeEach(async () => {
  database = await createDatabase({ template: template.name });
});
afterEach(() => database.drop());
afterAll(() => template.drop());

const ALL = ['readings_2026_01', 'readings_2026_02', 'readings_2026_03', 'readings_default'];
const onAll = (what: string, but: readonly string[] = []) =>
  ALL.filter((leaf) => !but.includes(leaf)).map((leaf) => `${leaf}: ${what}`);

/** Runs a statement that has to wait for a writer of a leaf, and interrupts it. */
async function interrupted(statement: string, leaf: string): Promise<void> {
  const writer = database.connect();
  await writer.unsafe(`begin; lock table ${leaf} in row exclusive mode; select pg_current_xact_id()`);
  const builder = database.connect();
  await builder`set statement_timeout = '100ms'`;
  await expect(builder.unsafe(statement)).rejects.toMatchObject({ code: '57014' });
  await writer`rollback`;
}

async function found(what: string): Promise<readonly string[]> {
  const { data } = await repair(database, ['--check']);
  return data.drift
    .filter((drift: { what: string }) => drift.what === what)
    .map((drift: { name: string; found: string }) => `${drift.name}: ${drift.found}`);
}

async function indexesOf(leaf: string): Promise<readonly string[]> {
  const rows = await database.sql<{ line: string }[]>`
    select format('%s %s', i.relname, case when x.indisvalid then 'valid' else 'invalid' end) as line
      from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = ${leaf}::regclass order by 1`;
  return rows.map(({ line }) => line);
}

async function isValid(index: string): Promise<boolean> {
  const [row] =
    await database.sql`select indisvalid as valid from pg_index where indexrelid = ${index}::regclass`;
  return row?.valid;
}

describe('an index that the parent alone has', () => {
  beforeEach(() => database.sql.unsafe('create index readings_value on only readings (value)'));

  it('becomes valid when the last leaf has it', async () => {
    expect(await isValid('readings_value')).toBe(false);
    expect(await mended(database)).toEqual(onAll('index readings_value'));
    expect(await isValid('readings_value')).toBe(true);
  });

  it('is not built where a leaf has the same aside, which is attached', async () => {
    await database.sql.unsafe(`create index by_hand on readings_2026_02 (value);
      create index other_way on readings_2026_03 (value desc);
      create index in_part on readings_2026_03 (value) where value > 0`);
    const oid = async () => (await database.sql`select 'by_hand'::regclass::oid::int4 as oid`)[0]?.oid;
    const before = await oid();
    expect(await found('index readings_value')).toContain('readings_2026_02: by_hand, not attached');
    await mended(database);
    expect(await oid()).toBe(before);
    expect(await indexesOf('readings_2026_03')).toContain('readings_2026_03_value_idx valid');
    expect(await isValid('readings_value')).toBe(true);
  });

  it('is built anew where an interrupted build left an invalid one', async () => {
    await interrupted('create index concurrently left_over on readings_2026_02 (value)', 'readings_2026_02');
    expect(await found('index readings_value')).toContain('readings_2026_02: invalid');
    expect(await mended(database)).toEqual(onAll('index readings_value'));
    expect((await indexesOf('readings_2026_02')).filter((line) => line.endsWith(' invalid'))).toEqual([]);
    expect(await indexesOf('readings_2026_02')).not.toContain('left_over valid');
    await expectLikeNew(database, ALL);
  });

  it('is built in place where an invalid one is attached', async () => {
    await interrupted('create index concurrently left_over on readings_2026_02 (value)', 'readings_2026_02');
    await database.sql.unsafe('alter index readings_value attach partition left_over');
    expect(await found('index readings_value')).toContain('readings_2026_02: left_over, invalid');
    expect(await mended(database)).toEqual(onAll('index readings_value'));
    expect(await indexesOf('readings_2026_02')).toContain('left_over valid');
    expect(await isValid('readings_value')).toBe(true);
  });

  it('becomes valid when the leaves that lacked it are gone', async () => {
    await mended(database, ['readings_2026_01', 'readings_2026_02', 'readings_2026_03']);
    expect(await isValid('readings_value')).toBe(false);
    await database.sql`drop table readings_default`;
    expect(await isValid('readings_value')).toBe(false);
    expect(await mended(database)).toEqual(['readings: index readings_value']);
    expect(await isValid('readings_value')).toBe(true);
  });

  it('is built under a name that is free', async () => {
    await database.sql.unsafe(`create view readings_2026_01_value_idx as select 1 as one;
      create sequence readings_2026_02_value_idx`);
    await mended(database);
    expect(await indexesOf('readings_2026_01')).toContain('readings_2026_01_value_idx1 valid');
    expect(await indexesOf('readings_2026_02')).toContain('readings_2026_02_value_idx1 valid');
  });
});

it('drops what an interrupted REINDEX left, and nothing else that is invalid', async () => {
  await interrupted('reindex index concurrently readings_2026_02_at_idx', 'readings_2026_02');
  await interrupted('create index concurrently theirs on readings_2026_02 (note)', 'readings_2026_02');
  expect(await drift(database)).toEqual(['readings_2026_02: index readings_2026_02_at_idx_ccnew']);
  await mended(database);
  expect(await indexesOf('readings_2026_02')).toEqual([
    'readings_2026_02_at_idx valid',
    'readings_2026_02_pkey valid',
    'theirs invalid',
  ]);
});

it('refuses a unique index that rows break, leaves nothing of it, and mends the other leaves', async () => {
  await database.sql.unsafe(`insert into readings values (9001, 1, '2026-02-03Z', 1), (9002, 1, '2026-02-03Z', 1);
    delete from readings where id < 9000;
    create unique index readings_once on only readings (value, at)`);
  const result = await repair(database);
  expect(result).toMatchObject({ exitCode: 3, changed: true, error: null });
  expect(result.data.refused).toMatchObject([
    {
      name: 'readings_2026_02',
      kind: 'indexes',
      reason: 'duplicate_rows',
      message: expect.stringContaining('could not create unique index'),
    },
  ]);
  expect(result.data.mended).toHaveLength(3);
  expect(await indexesOf('readings_2026_02')).toEqual([
    'readings_2026_02_at_idx valid',
    'readings_2026_02_pkey valid',
  ]);
  await database.sql`delete from readings where id = 9002`;
  expect(await mended(database)).toEqual(['readings_2026_02: index readings_once']);
});

it('makes the primary key of leaves of which one has the index for it', async () => {
  const { sql } = database;
  await sql.unsafe(`create table plain (id int not null, at timestamptz not null) partition by range (at);
    create table plain_2026_01 partition of plain for values from ('2026-01-01Z') to ('2026-02-01Z');
    create table plain_2026_02 partition of plain for values from ('2026-02-01Z') to ('2026-03-01Z');
    create unique index there on plain_2026_01 (id, at);
    alter table only plain add primary key (id, at);
    alter table only plain replica identity using index plain_pkey`);
  const writer = database.connect();
  await writer.unsafe('begin; lock table plain_2026_02 in row exclusive mode; select pg_current_xact_id()');
  const { exitCode, data } = await repair(database, ['-t', 'plain', 'plain_2026_02', '--wait', '300ms']);
  expect(exitCode).toBe(5);
  expect(data.blocked.map(({ what }: { what: string }) => what).toSorted()).toEqual([
    'index plain_pkey',
    'replica identity',
  ]);
  await writer`rollback`;
  expect(await mended(database, ['-t', 'plain'])).toEqual(
    [
      'plain_2026_01: replica identity',
      'plain_2026_01: index plain_pkey',
      'plain_2026_02: replica identity',
      'plain_2026_02: index plain_pkey',
    ].toSorted(),
  );
  const keys =
    await sql`select conrelid::regclass::text as leaf, conname, conparentid <> 0 as attached from pg_constraint
    where contype = 'p' and conrelid::regclass::text like 'plain\_2%' order by 1`;
  expect(keys).toEqual([
    { leaf: 'plain_2026_01', conname: 'there', attached: true },
    { leaf: 'plain_2026_02', conname: 'plain_2026_02_pkey', attached: true },
  ]);
  await sql.unsafe("insert into plain values (1, '2026-01-02Z') on conflict (id, at) do nothing");
});

it('does not drop an index that somebody is building, and attaches it when he has', async () => {
  await database.sql.unsafe('create index readings_value on only readings (value)');
  const writer = database.connect();
  await writer.unsafe(
    'begin; lock table readings_2026_02 in row exclusive mode; select pg_current_xact_id()',
  );
  const builder = database.connect();
  const [{ pid } = { pid: 0 }] = await builder<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const building = builder.unsafe('create index concurrently theirs on readings_2026_02 (value)').execute();
  await until(async () => (await indexesOf('readings_2026_02')).includes('theirs invalid'));
  // Whoever is younger than --lock-timeout is not waited for.
  const impatient = ['--lock-timeout', '60s', '--wait', '500ms'];
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      // DROP INDEX would wait for the build, and then drop what it made.
      if (text.startsWith('drop index')) await writer`commit`;
    },
  });
  const result = await repair(proxy, ['readings_2026_02', ...impatient]);
  await proxy.close();
  expect(result).toMatchObject({ exitCode: 5, changed: false });
  expect(result.error?.message).toContain(`pid ${pid}`);
  await writer`commit`;
  await building;
  await mended(database);
  expect(await indexesOf('readings_2026_02')).toEqual([
    'readings_2026_02_at_idx valid',
    'readings_2026_02_pkey valid',
    'theirs valid',
  ]);
});

it('clears away what a try of its own left before it tries again', async () => {
  await database.sql.unsafe('create index readings_value on only readings (value)');
  const writer = database.connect();
  await writer.unsafe(
    'begin; lock table readings_2026_02 in row exclusive mode; select pg_current_xact_id()',
  );
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (text.startsWith('drop index concurrently')) await writer`commit`;
    },
  });
  // The role's own lock_timeout ends a build while it waits for writers.
  const env = { PGOPTIONS: '-c lock_timeout=100ms' };
  const result = await repair(proxy, ['readings_2026_02', '--lock-timeout', '60s'], { env });
  await proxy.close();
  expect(result).toMatchObject({ exitCode: 0, data: { mended: [{ name: 'readings_2026_02' }] } });
  const builds = proxy.statements.filter((text) => text.startsWith('create index concurrently'));
  expect(builds).toHaveLength(2);
  expect((await indexesOf('readings_2026_02')).filter((line) => line.endsWith(' invalid'))).toEqual([]);
});
