import type { Sql } from 'postgres';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LOCK_MODES, type LockMode, pgLocksMode } from '../../src/db/lock-modes.ts';
import { runCli } from '../support/cli.ts';
import { NOW } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const READINGS = `create table readings (id bigint not null, device_id bigint not null, at timestamptz not null)
  partition by range (at)`;
const LEAF = `create table readings_2026_03 partition of readings for values from ('2026-03-01Z') to ('2026-04-01Z')`;
const DEFAULT = 'create table readings_default partition of readings default';
const INDEXED = 'alter table readings add primary key (id, at); create index on readings using brin (at)';
const DEVICE = 'create table device (id bigint primary key)';
const PARTITIONED_DEVICE = `create table device (id bigint primary key) partition by range (id);
  create table device_0 partition of device for values from (0) to (1000);
  create table device_1 partition of device for values from (1000) to (2000)`;

it.each([
  ['plain', [READINGS, LEAF]],
  ['without any leaf', [READINGS]],
  ['with indexes', [READINGS, LEAF, INDEXED]],
  [
    'that a foreign key of a partitioned table refers to',
    [
      READINGS,
      LEAF,
      INDEXED,
      `create table alarm (id bigint, at timestamptz, foreign key (id, at) references readings (id, at))
         partition by range (at);
       create table alarm_2026 partition of alarm for values from ('2026-01-01Z') to ('2027-01-01Z')`,
    ],
  ],
  [
    'that a foreign key refers to',
    [
      READINGS,
      LEAF,
      INDEXED,
      DEFAULT,
      'create table alarm (id bigint, at timestamptz, foreign key (id, at) references readings (id, at))',
    ],
  ],
  [
    'that references itself',
    [
      READINGS,
      LEAF,
      INDEXED,
      DEFAULT,
      `alter table readings add column before_id bigint, add column before_at timestamptz,
         add foreign key (before_id, before_at) references readings (id, at)`,
    ],
  ],
  ['with DEFAULT', [READINGS, LEAF, INDEXED, DEFAULT]],
  [
    'with a foreign key to a table',
    [DEVICE, READINGS, LEAF, DEFAULT, 'alter table readings add foreign key (device_id) references device'],
  ],
  [
    'with a foreign key to a partitioned table',
    [
      PARTITIONED_DEVICE,
      READINGS,
      LEAF,
      'alter table readings add foreign key (device_id) references device',
    ],
  ],
  [
    'whose DEFAULT is partitioned itself',
    [
      READINGS,
      LEAF,
      INDEXED,
      `create table readings_default partition of readings default partition by range (at);
       create table readings_old partition of readings_default for values from ('2000-01-01Z') to ('2020-01-01Z');
       create table readings_rest partition of readings_default default`,
    ],
  ],
  [
    'of which a leaf is partitioned itself',
    [
      READINGS,
      'create index on readings using brin (at)',
      DEFAULT,
      `create table readings_2026_03 partition of readings for values from ('2026-03-01Z') to ('2026-04-01Z')
         partition by range (device_id);
       create table readings_2026_03_a partition of readings_2026_03 for values from (0) to (1000)`,
    ],
  ],
  [
    'with a trigger, a policy and names that are odd',
    [
      READINGS,
      LEAF,
      DEFAULT,
      `create function noted() returns trigger language plpgsql as 'begin return new; end';
       create trigger noted after insert on readings for each row execute function noted();
       alter table readings enable row level security; create policy mine on readings using (true);
       create schema "we.ird"; alter table readings_default set schema "we.ird";
       alter table "we.ird".readings_default rename to "de ""fault"`,
    ],
  ],
])('ensure takes the very locks that --dry-run declares, on a table %s', async (_what, statements) => {
  for (const statement of statements) await database.sql.unsafe(statement);
  const words = ['partitions', 'ensure', '--table', 'readings', '--interval', 'month', '--months', '1'];
  const planned = await runCli([...words, '--dry-run', '--json'], { url: database.url, now: NOW });
  expect(planned.exitCode).toBe(0);
  const declared = strongest(planned.json().data.steps.flatMap(({ locks }: Step) => locks));
  const existing = await oids(database.sql);
  const taken: Lock[] = [];
  const proxy = await startProxy(database.url, {
    before: async ({ text, backendPid }) => {
      if (text === 'commit') taken.push(...(await locksOf(database.sql, backendPid, existing)));
    },
  });
  const run = await runCli([...words, '--json'], { url: proxy.url, now: NOW });
  await proxy.close();
  expect(run.exitCode).toBe(0);
  expect(run.json().data.created).not.toEqual([]);
  expect(strongest(taken)).toEqual(declared);
});

interface Lock {
  readonly relation: string;
  readonly mode: LockMode;
}

interface Step {
  readonly locks: readonly Lock[];
}

function strongest(locks: readonly Lock[]): Readonly<Record<string, LockMode>> {
  const result: Record<string, LockMode> = {};
  for (const { relation, mode } of locks) {
    const before = result[relation];
    if (before === undefined || LOCK_MODES.indexOf(mode) > LOCK_MODES.indexOf(before))
      result[relation] = mode;
  }
  return result;
}

async function oids(sql: Sql): Promise<readonly number[]> {
  const rows = await sql<{ oid: number }[]>`select oid::int4 from pg_class`;
  return rows.map(({ oid }) => oid);
}

/** Lists what a process has locked of the tables there were, in transactions that write. */
async function locksOf(sql: Sql, pid: number, existing: readonly number[]): Promise<readonly Lock[]> {
  const rows = await sql<{ relation: string; mode: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as relation, l.mode
      from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
     where l.pid = ${pid} and l.database = (select oid from pg_database where datname = current_database())
       and c.oid = any (${existing as number[]}) and c.relkind in ('r', 'p')
       and n.nspname not in ('pg_catalog', 'information_schema', 'sensordb')
       and exists (select from pg_locks x where x.pid = l.pid and x.locktype = 'transactionid')`;
  return rows.map(({ relation, mode }) => ({
    relation,
    mode: LOCK_MODES.find((known) => pgLocksMode(known) === mode) as LockMode,
  }));
}
