import type { Sql } from 'postgres';
import { splitStatements } from '../../src/db/statements.ts';

/** Something that is wrong with a database, made the way it happens in life. */
export interface Fault {
  readonly name: string;
  readonly make: (sql: Sql, connect: () => Sql) => Promise<unknown>;
}

const each = async (sql: Sql, text: string): Promise<void> => {
  for (const statement of splitStatements(text)) await sql.unsafe(statement.sql);
};

/** Monthly leaves from the first month, so many, of a table with a key and a BRIN index. */
const months = (table: string, from: string, count: number): string => `
  create table ${table} (id bigint not null, device_id bigint not null, "timestamp" timestamptz not null, value float8) partition by range ("timestamp");
  create unique index on ${table} (id, "timestamp");
  do $$ begin for n in 0..${count - 1} loop
    execute format('create table ${table}_%s partition of ${table} for values from (%L) to (%L)', n,
                   date_trunc('month', ${from}) + make_interval(months => n), date_trunc('month', ${from}) + make_interval(months => n + 1));
  end loop; end $$;
`;

const HALF_A_YEAR_AGO = `now() - interval '6 months'`;

/** Rows in the order of their times, over the half year before now. */
const rows = (table: string, count: number): string => `
  insert into ${table} (id, device_id, "timestamp", value)
  select n, n % 50, now() - interval '5 months' + n * interval '5 months' / ${count}, n from generate_series(1, ${count}) n;
`;

/** Every fault, each on tables of its own, beside what is healthy: tables that are as they should be. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'healthy: a table with a used index, an unused one, and room ahead',
    make: (sql) =>
      each(
        sql,
        `${months('healthy', HALF_A_YEAR_AGO, 12)}
        create index healthy_device on healthy (device_id, "timestamp");
        ${rows('healthy', 200_000)}
        vacuum analyze healthy;
        do $$ begin for n in 1..60 loop perform count(*) from healthy where device_id = n and "timestamp" > now() - interval '20 days'; end loop; end $$`,
      ),
  },
  {
    name: 'inserts fail in some days: no leaf beyond this month',
    make: (sql) =>
      each(
        sql,
        `${months('short_runway', HALF_A_YEAR_AGO, 7)} ${rows('short_runway', 1000)} analyze short_runway`,
      ),
  },
  {
    name: 'a hole between leaves, in the future',
    make: (sql) =>
      each(
        sql,
        `${months('holey', HALF_A_YEAR_AGO, 12)} ${rows('holey', 1000)} drop table holey_9;\nanalyze holey`,
      ),
  },
  {
    name: 'rows in DEFAULT',
    make: (sql) =>
      each(
        sql,
        `${months('strayed', HALF_A_YEAR_AGO, 12)} create table strayed_default partition of strayed default;\n${rows('strayed', 1000)} insert into strayed (id, device_id, "timestamp") select n, 1, '1970-01-01' from generate_series(1, 500) n;\nanalyze strayed`,
      ),
  },
  {
    name: 'a detach that was interrupted half-way',
    make: async (sql, connect) => {
      await each(
        sql,
        `${months('half_detached', HALF_A_YEAR_AGO, 12)} ${rows('half_detached', 1000)} analyze half_detached`,
      );
      const [reader, detacher] = [connect(), connect()];
      await reader.unsafe('begin; select count(*) from half_detached');
      await detacher.unsafe(`set statement_timeout = '500ms'`);
      await detacher
        .unsafe('alter table half_detached detach partition half_detached_0 concurrently')
        .catch(() => {});
      await reader.unsafe('rollback');
    },
  },
  {
    name: 'a detached leaf that nobody took away',
    make: (sql) =>
      each(
        sql,
        `${months('orphaned', HALF_A_YEAR_AGO, 12)} ${rows('orphaned', 1000)} alter table orphaned detach partition orphaned_0;\nanalyze orphaned`,
      ),
  },
  {
    name: 'an invalid index on a leaf, left by a CREATE UNIQUE INDEX CONCURRENTLY that failed',
    make: async (sql) => {
      await each(sql, `${months('invalid', HALF_A_YEAR_AGO, 12)} ${rows('invalid', 1000)} analyze invalid`);
      await sql
        .unsafe('create unique index concurrently invalid_2_device on invalid_2 (device_id)')
        .catch(() => {});
    },
  },
  {
    name: 'an index of the parent that is missing on leaves',
    make: (sql) =>
      each(
        sql,
        `${months('unindexed', HALF_A_YEAR_AGO, 12)} ${rows('unindexed', 1000)} create index unindexed_value on only unindexed (value);\nanalyze unindexed`,
      ),
  },
  {
    name: 'the same index twice on a leaf',
    make: (sql) =>
      each(
        sql,
        `${months('twice', HALF_A_YEAR_AGO, 12)} create index twice_device on twice (device_id);\n${rows('twice', 20_000)} create index twice_again on twice_3 (device_id);\nanalyze twice`,
      ),
  },
  {
    name: 'a bloated index: four rows of five were deleted',
    make: (sql) =>
      each(
        sql,
        `${months('bloated', HALF_A_YEAR_AGO, 12)} create index bloated_value on bloated (value);\n${rows('bloated', 1_500_000)} delete from bloated where id % 5 <> 0;\nselect pg_stat_force_next_flush();\nvacuum analyze bloated`,
      ),
  },
  {
    name: 'a BRIN index over rows that came device by device, not summarized',
    make: (sql) =>
      each(
        sql,
        `${months('scattered', HALF_A_YEAR_AGO, 12)} create index scattered_brin on scattered using brin ("timestamp") with (autosummarize = off, pages_per_range = 16);
      insert into scattered (id, device_id, "timestamp", value) select d * 100000 + n, d, now() - interval '5 months' + n * interval '10 minutes', n from generate_series(1, 60) d, generate_series(1, 20000) n;\nanalyze scattered`,
      ),
  },
  {
    name: 'a partitioned table that nobody ever analyzed',
    make: (sql) =>
      each(
        sql,
        `${months('unanalyzed', HALF_A_YEAR_AGO, 12)} ${rows('unanalyzed', 100_000)} do $$ begin for n in 0..11 loop execute format('analyze unanalyzed_%s', n); end loop; end $$`,
      ),
  },
  {
    name: 'a leaf of another owner, without the grants',
    make: (sql) =>
      each(
        sql,
        `${months('drifted', HALF_A_YEAR_AGO, 12)} ${rows('drifted', 1000)} create role compare_owner;\ncreate role compare_reader;\ngrant select on drifted to compare_reader;\ndo $$ begin for n in 0..11 loop execute format('grant select on drifted_%s to compare_reader', n); end loop; end $$;\nalter table drifted_4 owner to compare_owner;\nrevoke select on drifted_4 from compare_reader;\nanalyze drifted`,
      ),
  },
  {
    name: 'an identity column that ends soon',
    make: (sql) =>
      each(
        sql,
        `create table ending (id int generated always as identity primary key);\nselect setval('ending_id_seq', 2000000000);\nanalyze ending`,
      ),
  },
  {
    name: 'a foreign key without an index',
    make: (sql) =>
      each(
        sql,
        `create table keyed (id bigint primary key);\ninsert into keyed select n from generate_series(1, 100) n;\ncreate table keyless (id bigint primary key, keyed_id bigint references keyed on delete cascade);\ninsert into keyless select n, 1 + n % 100 from generate_series(1, 100000) n;\nvacuum analyze keyed, keyless`,
      ),
  },
  {
    name: 'UPDATE and DELETE fail: published without a replica identity',
    make: (sql) =>
      each(
        sql,
        `create table published (t timestamptz, v int) partition by range (t);\ncreate table published_1 partition of published for values from ('2020-01-01') to ('2040-01-01');\ncreate publication compare for table published;\nanalyze published`,
      ),
  },
  {
    name: 'dead rows where autovacuum is switched off',
    make: (sql) =>
      each(
        sql,
        `create table dirty (id bigint primary key, v int) with (autovacuum_enabled = off);\ninsert into dirty select n, n from generate_series(1, 200000) n;\nupdate dirty set v = v + 1;\nanalyze dirty`,
      ),
  },
  {
    name: 'a replication slot without a reader',
    make: (sql) => sql.unsafe(`select pg_create_physical_replication_slot('compare', true)`),
  },
  {
    name: 'a prepared transaction that nobody ended',
    make: async (_sql, connect) =>
      connect().unsafe(`begin; create table prepared_by (i int); prepare transaction 'compare'`),
  },
  {
    name: 'a transaction that is idle for long',
    make: async (_sql, connect) => connect().unsafe('begin; select count(*) from healthy_0'),
  },
];
