import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { created, ensure, runJson } from '../support/partitions.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create table device (id int primary key);
    create table t (at timestamptz not null, device int references device, primary key (at, device))
      partition by range (at);
    create table t_default partition of t default`);
  await created(database, ['-t', 't', '--months', '3']);
  await database.sql.unsafe("insert into device values (1); insert into t values ('2026-03-03+00', 1)");
});
afterAll(() => database.drop());

/** What a statement that writes would change: every row version of every catalog that DDL writes to, and of every table. */
async function fingerprint(sql: Sql): Promise<unknown> {
  const tables = await sql<{ relation: string }[]>`
    select c.oid::regclass::text as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'sensordb')
     union all select unnest('{pg_class,pg_attribute,pg_index,pg_constraint,pg_inherits,pg_type,pg_depend,pg_description,
       pg_namespace,pg_trigger,pg_attrdef}'::text[]) order by 1`;
  const found: Record<string, unknown> = {};
  for (const { relation } of tables) {
    const [row] = await sql.unsafe(
      `select count(*)::int as rows, md5(string_agg(ctid::text || xmin::text || xmax::text, ',' order by ctid)) as versions
         from only ${relation}`,
    );
    found[relation] = row;
  }
  return found;
}

it('a run that finds everything in place writes one line of the run log, and nothing else', async () => {
  const before = (await fingerprint(database.sql)) as Record<string, { rows: number }>;
  const result = await ensure(database, ['-t', 't', '--months', '3']);
  expect(result).toMatchObject({ exitCode: 0, changed: false, data: { created: [] } });
  const after = (await fingerprint(database.sql)) as Record<string, { rows: number }>;
  const { 'sensordb.run_log': logBefore, ...othersBefore } = before;
  const { 'sensordb.run_log': logAfter, ...othersAfter } = after;
  expect(othersAfter).toEqual(othersBefore);
  expect(logAfter?.rows).toBe((logBefore?.rows ?? 0) + 1);
});

it('a run that finds everything in place takes no lock stronger than ACCESS SHARE on anything of the user', async () => {
  const other = database.connect();
  await other.begin(async (holder) => {
    // EXCLUSIVE conflicts with every mode but ACCESS SHARE.
    await holder.unsafe('lock table only device, t, t_default in exclusive mode');
    await holder.unsafe('lock table t in exclusive mode');
    const result = await ensure(database, ['-t', 't', '--months', '3', '--wait', '0s']);
    expect(result).toMatchObject({ exitCode: 0, changed: false });
  });
});

it('a run that finds everything in place does not wait for ACCESS EXCLUSIVE either', async () => {
  const other = database.connect();
  await other.begin(async (holder) => {
    await holder.unsafe('lock table t, device in access exclusive mode');
    const result = await ensure(database, ['-t', 't', '--months', '3', '--wait', '0s']);
    expect(result).toMatchObject({ exitCode: 0, changed: false });
    expect((await runJson(database, ['partitions', 'list', '-t', 't'])).exitCode).toBe(0);
  });
});

it('a dry run writes nothing at all, not even to the run log', async () => {
  const before = await fingerprint(database.sql);
  const result = await ensure(database, ['-t', 't', '--months', '6', '--dry-run']);
  expect(result.data.created).toEqual(['t_2026_07', 't_2026_08', 't_2026_09']);
  expect(await fingerprint(database.sql)).toEqual(before);
});

it('a dry run on a database that sensordb has never seen does not make its schema', async () => {
  const fresh = await createDatabase();
  await fresh.sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
  await ensure(fresh, ['-t', 't', '--months', '1', '--dry-run']);
  expect(await fresh.sql`select to_regnamespace('sensordb') as oid`).toEqual([{ oid: null }]);
  await fresh.drop();
});
