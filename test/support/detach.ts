import type { Sql } from 'postgres';
import type { CliOptions, Envelope } from './cli.ts';
import { runJson } from './partitions.ts';
import { createDatabase, type TestDatabase } from './server.ts';

/** A table of readings with three past months, the current one and the next; `more` is run after it. */
export async function readings(
  more = '',
  options: { readonly default?: boolean } = {},
): Promise<TestDatabase> {
  const database = await createDatabase();
  await database.sql.unsafe(READINGS);
  if (options.default === true)
    await database.sql.unsafe('create table readings_default partition of readings default');
  if (more !== '') await database.sql.unsafe(more);
  return database;
}

const READINGS = `
  create table device (id bigint primary key);
  insert into device select generate_series(1, 3);
  create table readings (
    id bigint not null, device_id bigint not null references device, at timestamptz not null, value float8,
    primary key (id, at)
  ) partition by range (at);
  create index readings_at on readings using brin (at);
  create table readings_2025_12 partition of readings for values from ('2025-12-01Z') to ('2026-01-01Z');
  create table readings_2026_01 partition of readings for values from ('2026-01-01Z') to ('2026-02-01Z');
  create table readings_2026_02 partition of readings for values from ('2026-02-01Z') to ('2026-03-01Z');
  create table readings_2026_03 partition of readings for values from ('2026-03-01Z') to ('2026-04-01Z');
  create table readings_2026_04 partition of readings for values from ('2026-04-01Z') to ('2026-05-01Z');
  insert into readings select n, 1 + n % 3, timestamptz '2025-12-01Z' + n * interval '1 day', n
    from generate_series(0, 100) n`;

/** Runs `partitions detach` or `attach` on a table. */
export async function runOn(
  database: Pick<TestDatabase, 'url'>,
  table: string,
  verb: 'detach' | 'attach',
  words: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
): Promise<Envelope & { readonly exitCode: number }> {
  return await runJson(database, ['partitions', verb, '-t', table, ...words], options);
}

/** Runs `partitions detach` on the table of readings. */
export const detach = (
  database: Pick<TestDatabase, 'url'>,
  words: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
) => runOn(database, 'readings', 'detach', words, options);

/** Runs `partitions attach` on the table of readings. */
export const attach = (
  database: Pick<TestDatabase, 'url'>,
  words: readonly string[],
  options: Omit<CliOptions, 'url'> = {},
) => runOn(database, 'readings', 'attach', words, options);

/** Lists the partitions of the table of readings with their state. */
export async function leavesOf(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    select c.relname || case when i.inhdetachpending then ' pending' else '' end as line
      from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'readings'::regclass order by 1`;
  return rows.map(({ line }) => line);
}
