import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { NOW } from '../support/live.ts';
import { type HeldLock, locksOf, strongest, tableOids } from '../support/locks.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { expectHeadsToTell } from '../support/sql-heads.ts';

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
  expectHeadsToTell(planned.json().data.steps);
  const declared = strongest(planned.json().data.steps.flatMap(({ locks }: Step) => locks));
  const existing = await tableOids(database.sql);
  const taken: HeldLock[] = [];
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

interface Step {
  readonly locks: readonly HeldLock[];
}
