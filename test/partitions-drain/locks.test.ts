import { afterEach, beforeEach, expect, it } from 'vitest';
import { LOCK_MODES, type LockMode, pgLocksMode } from '../../src/db/lock-modes.ts';
import { runCli } from '../support/cli.ts';
import { NOW } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { expectHeadsToTell } from '../support/sql-heads.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

interface Lock {
  readonly relation: string;
  readonly mode: LockMode;
}

const TABLE = `create table r (id bigint not null, device_id bigint not null, at timestamptz not null, primary key (id, at))
    partition by range (at);
  create table r_2026_03 partition of r for values from ('2026-03-01Z') to ('2026-04-01Z');
  create table r_default partition of r default`;
const DEVICE = `create table device (id bigint primary key); insert into device values (1);
  alter table r add foreign key (device_id) references device`;
const PARTITIONED_DEVICE = `create table device (id bigint primary key) partition by hash (id);
  create table device_0 partition of device for values with (modulus 1, remainder 0); insert into device values (1);
  alter table r add foreign key (device_id) references device`;
const ALARM = `create table alarm (id bigint, at timestamptz, foreign key (id, at) references r (id, at) on delete cascade)`;
/** So much that DEFAULT takes longer than a millisecond to scan. */
const BULK = `insert into r select g, 1, '2030-01-01Z' from generate_series(1, 180000) g`;
const ITSELF = `alter table r add column before_id bigint, add column before_at timestamptz,
  add foreign key (before_id, before_at) references r (id, at)`;

it.each([
  ['plain', [], 10, []],
  ['with many rows in DEFAULT', [], 3000, []],
  ['with a foreign key', [DEVICE], 10, []],
  ['with a foreign key and very many rows', [DEVICE], 100_000, ['--lock-timeout', '10s']],
  ['with a foreign key to a partitioned table', [PARTITIONED_DEVICE], 10, []],
  ['that is referenced', [ALARM], 10, []],
  ['that references itself', [ITSELF], 10, []],
  ['whose DEFAULT is guarded', [BULK], 10, ['--guard-default', '--lock-timeout', '1ms', '--until', '2027']],
])('drain takes the very locks that --dry-run declares, on a table %s', async (_, ddl, rows, more) => {
  const { sql, url } = database;
  for (const statement of [TABLE, ...ddl]) await sql.unsafe(statement);
  await sql`insert into r (id, device_id, at) select g, 1, '2026-05-05Z' from generate_series(1, ${rows}) g`;
  const existing = (await sql<{ oid: number }[]>`select oid::int4 from pg_class`).map(({ oid }) => oid);
  const words = ['partitions', 'drain', '-t', 'r', '--json', ...more];
  const planned = await runCli([...words, '--dry-run'], { url, now: NOW });
  expect(planned.exitCode).toBe(0);
  const steps = planned.json().data.steps as { sql: string; locks: Lock[] }[];
  expectHeadsToTell(steps);
  expect(steps.some(({ sql: text }) => text.includes('sensordb_guard'))).toBe(
    more.includes('--guard-default'),
  );
  const names = new Set(
    (
      await sql<{ name: string }[]>`select format('%I.%I', n.nspname, c.relname) as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any (${existing})`
    ).map(({ name }) => name),
  );
  const taken: Lock[] = [];
  const beforeLocks: Lock[] = [];
  const proxy = await startProxy(url, {
    before: async ({ text, backendPid }) => {
      if (text === 'commit') taken.push(...(await locksOf(backendPid, existing)));
      if (text.startsWith('savepoint')) beforeLocks.push(...(await locksOf(backendPid, existing)));
    },
  });
  const run = await runCli(words, { url: proxy.url, now: NOW });
  await proxy.close();
  expect(run.json()).toMatchObject({ ok: true, data: { drained: [{ rows }] } });
  const declared = steps.flatMap(({ locks }) => locks).filter(({ relation }) => names.has(relation));
  expect(strongest(taken)).toEqual(strongest(declared));
  // Until the moment of the change nobody who reads or writes can notice anything.
  const weak = LOCK_MODES.indexOf('SHARE UPDATE EXCLUSIVE');
  for (const { mode } of beforeLocks) expect(LOCK_MODES.indexOf(mode)).toBeLessThanOrEqual(weak);
  expect(beforeLocks.length > 0).toBe(rows > 2000 || ddl.includes(BULK));
});

function strongest(locks: readonly Lock[]): Readonly<Record<string, LockMode>> {
  const sorted = locks.toSorted((a, b) => LOCK_MODES.indexOf(a.mode) - LOCK_MODES.indexOf(b.mode));
  return Object.fromEntries(sorted.map(({ relation, mode }) => [relation, mode]));
}

/** Lists what a process has locked of the tables there were, in transactions that write. */
async function locksOf(pid: number, existing: readonly number[]): Promise<readonly Lock[]> {
  const rows = await database.sql<{ relation: string; mode: string }[]>`
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
