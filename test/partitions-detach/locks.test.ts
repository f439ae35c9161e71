import { afterEach, beforeEach, expect, it } from 'vitest';
import { detach, runOn } from '../support/detach.ts';
import { expectPrintedLocks } from '../support/lock-watch.ts';
import { type HeldLock, locksOf, strongest, tableOids } from '../support/locks.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(BASE);
});
afterEach(() => database.drop());

const BASE = `create schema archive;
  create table readings (id bigint not null, device_id bigint not null, at timestamptz not null) partition by range (at);
  create table r_old partition of readings for values from ('2025-01-01Z') to ('2025-02-01Z');
  create table older partition of readings for values from ('2024-01-01Z') to ('2025-01-01Z')`;
const KEY = 'alter table readings add primary key (id, at); create index on readings using brin (at)';
const DEFAULT = 'create table readings_default partition of readings default';
const DEVICE = `create table device (id bigint primary key);
  alter table readings add foreign key (device_id) references device`;
const PARTITIONED_DEVICE = `create table device (id bigint primary key) partition by range (id);
  create table device_0 partition of device for values from (0) to (1000);
  create table device_1 partition of device for values from (1000) to (2000);
  alter table readings add foreign key (device_id) references device`;
const ALARM =
  'create table alarm (id bigint, at timestamptz, foreign key (id, at) references readings (id, at))';

const SHAPES = [
  ['plain', []],
  ['with indexes and DEFAULT', [KEY, DEFAULT]],
  ['with a foreign key', [KEY, DEVICE]],
  ['with a foreign key and DEFAULT', [KEY, DEFAULT, DEVICE]],
  ['with a foreign key to a partitioned table', [PARTITIONED_DEVICE]],
  ['with a foreign key to a partitioned table, and DEFAULT', [PARTITIONED_DEVICE, DEFAULT]],
  ['that is referenced', [KEY, DEVICE, ALARM]],
  ['that is referenced, with DEFAULT', [KEY, DEFAULT, ALARM]],
  [
    'that a partitioned table references',
    [KEY, `${ALARM} partition by range (at)`, 'create table alarm_all partition of alarm default'],
  ],
  [
    'that references itself',
    [
      KEY,
      `alter table readings add before_id bigint, add before_at timestamptz,
         add foreign key (before_id, before_at) references readings`,
    ],
  ],
  [
    'that references itself, with DEFAULT',
    [
      KEY,
      DEFAULT,
      `alter table readings add before_id bigint, add before_at timestamptz,
         add foreign key (before_id, before_at) references readings`,
    ],
  ],
  [
    'of which a leaf is partitioned itself',
    [
      `drop table r_old; create table r_old partition of readings for values from ('2025-01-01Z') to ('2025-02-01Z')
         partition by range (id);
       create table r_old_a partition of r_old for values from (0) to (1000);
       create table r_old_b partition of r_old default`,
      DEVICE,
    ],
  ],
  [
    'of which a leaf and DEFAULT are partitioned themselves',
    [
      `drop table r_old; create table r_old partition of readings for values from ('2025-01-01Z') to ('2025-02-01Z')
         partition by range (id);
       create table r_old_a partition of r_old for values from (0) to (1000);
       create table readings_default partition of readings default partition by range (at);
       create table readings_rest partition of readings_default default`,
    ],
  ],
  [
    'with publications, triggers and odd names',
    [
      DEFAULT,
      `create function noted() returns trigger language plpgsql as 'begin return new; end';
       create trigger noted after insert on readings for each row execute function noted();
       create publication p for table readings; create publication q for table r_old;
       create schema "we.ird"; alter table readings_default set schema "we.ird";
       alter table "we.ird".readings_default rename to "de ""fault"`,
    ],
  ],
] as const;

it.each(SHAPES)(
  'the locks that --dry-run prints are those that detach, attach and FINALIZE take, on a table %s',
  async (_what, statements) => {
    for (const statement of statements) await database.sql.unsafe(statement);
    await expectPrintedLocks(database, [
      'partitions',
      'detach',
      '-t',
      'readings',
      'r_old',
      '--into-schema',
      'archive',
    ]);
    // With another CHECK, which is validated, and out of another schema.
    await database.sql.unsafe('alter table archive.r_old drop constraint r_old_at_check');
    await expectPrintedLocks(database, ['partitions', 'attach', '-t', 'readings', 'r_old']);
    const [{ concurrently }] = (await database.sql`select partdefid = 0 as concurrently
      from pg_partitioned_table where partrelid = 'readings'::regclass`) as unknown as [
      { concurrently: boolean },
    ];
    if (concurrently) await expectFinalizeLocks();
  },
);

it.each([
  ['with DEFAULT', [KEY, DEFAULT, DEVICE]],
  ['without DEFAULT', [KEY, DEVICE]],
])(
  'they are those of a leaf that stays in its schema and keeps its CHECK, too, on a table %s',
  async (_what, statements) => {
    for (const statement of statements) await database.sql.unsafe(statement);
    await expectPrintedLocks(database, ['partitions', 'detach', '-t', 'readings', 'r_old']);
    await expectPrintedLocks(database, ['partitions', 'attach', '-t', 'readings', 'r_old']);
  },
);

/** FINALIZE takes what DETACH CONCURRENTLY takes at its end; in a transaction it can be looked at. */
async function expectFinalizeLocks(): Promise<void> {
  const reader = database.connect();
  await reader.unsafe('begin; lock table only readings in access share mode');
  const other = database.connect();
  await other`set lock_timeout to '50ms'`;
  await expect(other.unsafe('alter table readings detach partition r_old concurrently')).rejects.toThrow();
  await reader.unsafe('rollback');
  const dry = await detach(database, ['r_old', '--dry-run']);
  const finalize = dry.data.steps.find(({ sql }: { sql: string }) => sql.endsWith('finalize'));
  const existing = await tableOids(database.sql);
  const [{ pid }] = (await other`select pg_backend_pid() as pid`) as unknown as [{ pid: number }];
  await other.unsafe(`begin; ${finalize.sql}`);
  const held = await locksOf(database.sql, pid, existing, true);
  await other.unsafe('rollback');
  expect(strongest(held)).toEqual(strongest(finalize.locks as HeldLock[]));
  expect(await runOn(database, 'readings', 'attach', ['r_old'])).toMatchObject({ exitCode: 0 });
}
