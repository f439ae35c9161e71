import type { Sql } from 'postgres';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LOCK_MODES, type LockMode, pgLocksMode } from '../../src/db/lock-modes.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { expectHeadsToTell } from '../support/sql-heads.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(BASE);
});
afterEach(() => database.drop());

const BASE = `create table r (id bigint not null, device_id bigint not null, at timestamptz not null) partition by range (at);
  create table r_1 partition of r for values from ('2025-01-01Z') to ('2025-02-01Z');
  create table r_2 partition of r for values from ('2025-02-01Z') to ('2025-03-01Z')`;
const KEY = 'alter table r add primary key (id, at)';
const DEFAULT = 'create table r_default partition of r default';
const DEVICE = `create table device (id bigint primary key);
  alter table r add foreign key (device_id) references device`;

const SHAPES: readonly (readonly [string, readonly string[]])[] = [
  ['plain', []],
  ['with DEFAULT', [KEY, 'create index on r using brin (at)', DEFAULT]],
  ['with a foreign key', [DEFAULT, DEVICE]],
  [
    'with a foreign key to a partitioned table',
    [
      `create table device (id bigint primary key) partition by range (id);
       create table device_0 partition of device for values from (0) to (1000);
       create table device_1 partition of device for values from (1000) to (2000);
       alter table r add foreign key (device_id) references device`,
    ],
  ],
  [
    'of which a leaf and DEFAULT are partitioned themselves',
    [
      `drop table r_1; create table r_1 partition of r for values from ('2025-01-01Z') to ('2025-02-01Z')
         partition by range (id);
       create table r_1a partition of r_1 for values from (0) to (1000);
       create table r_1b partition of r_1 default;
       create table r_default partition of r default partition by range (at);
       create table r_rest partition of r_default default`,
      DEVICE,
    ],
  ],
  [
    'with triggers, policies, publications and odd names',
    [
      DEFAULT,
      `create function noted() returns trigger language plpgsql as 'begin return new; end';
       create trigger noted after insert on r for each row execute function noted();
       alter table r enable row level security; create policy mine on r using (true);
       create publication p for table r; create publication q for table r_1;
       create schema "we.ird"; alter table r_default set schema "we.ird"; alter table "we.ird".r_default rename to "de ""fault"`,
    ],
  ],
];

// Of a detached leaf: what references the parent references it no more.
const DETACHED_SHAPES: typeof SHAPES = [
  ...SHAPES,
  [
    'that is referenced',
    [
      KEY,
      DEFAULT,
      DEVICE,
      'create table alarm (id bigint, at timestamptz, foreign key (id, at) references r (id, at))',
    ],
  ],
  [
    'that references itself',
    [
      KEY,
      DEVICE,
      `alter table r add before_id bigint, add before_at timestamptz, add foreign key (before_id, before_at) references r`,
    ],
  ],
];

it.each(SHAPES)(
  'dropping an attached leaf takes the very locks that are printed, on a table %s',
  async (_what, statements) => {
    for (const statement of statements) await database.sql.unsafe(statement);
    await expectPrintedLocks();
  },
);

it.each(DETACHED_SHAPES)(
  'dropping a detached leaf takes the very locks that are printed, on a table %s',
  async (_what, statements) => {
    for (const statement of statements) await database.sql.unsafe(statement);
    await runJson(database, ['partitions', 'ensure', '-t', 'r', '--months', '0', '--interval', 'month']);
    await database.sql.unsafe(`insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid,
      leaf_schema, leaf_name, bound, lower_bound, upper_bound, state)
    values ('r'::regclass, 'public', 'r', 'r_1'::regclass, 'public', 'r_1', '', '2025-01-01Z', '2025-02-01Z', 'detached');
    alter table r detach partition r_1`);
    await expectPrintedLocks();
  },
);

/** Compares, statement for statement, what a dry run prints with what pg_locks shows once it has run. */
async function expectPrintedLocks(): Promise<void> {
  const words = ['partitions', 'drop', '-t', 'r', 'r_1'];
  const planned = await runJson(database, [...words, '--dry-run']);
  expect(planned.exitCode).toBe(0);
  expectHeadsToTell(planned.data.steps);
  const existing = await tableOids(database.sql);
  const printed: Printed = {};
  const expected: (readonly [string, Printed])[] = [];
  for (const { sql, locks } of (planned.data.steps as readonly Step[]).filter(isOfDrop)) {
    for (const { relation, mode } of locks) printed[relation] = stronger(printed[relation], mode);
    expected.push([sql, { ...printed }]);
  }
  expect(expected.length).toBeGreaterThan(4);
  const taken: (readonly [string, Printed])[] = [];
  const wanted = new Set(expected.map(([sql]) => sql));
  const proxy = await startProxy(database.url, {
    after: async ({ text, backendPid }) => {
      if (wanted.has(text)) taken.push([text, await locksOf(database.sql, backendPid, existing)]);
    },
  });
  const run = await runJson({ url: proxy.url }, [...words, '--yes']);
  await proxy.close();
  expect(run).toMatchObject({ exitCode: 0, data: { dropped: ['r_1'] } });
  expect(taken).toEqual(expected);
}

type Printed = Record<string, LockMode>;

interface Step {
  readonly title: string;
  readonly sql: string;
  readonly locks: readonly { readonly relation: string; readonly mode: LockMode }[];
}

const isOfDrop = ({ title }: Step): boolean => title.startsWith('Drop ');

function stronger(before: LockMode | undefined, mode: LockMode): LockMode {
  return before === undefined || LOCK_MODES.indexOf(mode) > LOCK_MODES.indexOf(before) ? mode : before;
}

/** The names of tables by their OIDs: one that is dropped has none that another session could look up later. */
async function tableOids(sql: Sql): Promise<ReadonlyMap<number, string>> {
  const rows = await sql<{ oid: number; relation: string }[]>`
    select c.oid::int4 as oid, format('%I.%I', n.nspname, c.relname) as relation
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'sensordb')`;
  return new Map(rows.map(({ oid, relation }) => [oid, relation]));
}

async function locksOf(sql: Sql, pid: number, tables: ReadonlyMap<number, string>): Promise<Printed> {
  const rows = await sql<{ oid: number; mode: string }[]>`
    select l.relation::int4 as oid, l.mode from pg_locks l
     where l.pid = ${pid} and l.locktype = 'relation'
       and l.database = (select oid from pg_database where datname = current_database())`;
  const locks: Printed = {};
  for (const { oid, mode } of rows) {
    const relation = tables.get(oid);
    const known = LOCK_MODES.find((one) => pgLocksMode(one) === mode) as LockMode;
    if (relation !== undefined) locks[relation] = stronger(locks[relation], known);
  }
  return locks;
}
