import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NOW } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import {
  expectExact,
  JANUARY,
  late,
  partitions,
  refreshed,
  retentionDatabase,
  storedOf,
} from '../support/retention.ts';
import { createRole, dropRoles, type TestRole } from '../support/roles.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let owner: TestRole;

/** Aggregates whose tables belong to an ordinary role, and readings in DEFAULT of past, present and senseless times. */
beforeEach(async () => {
  database = await retentionDatabase({ default: true, refreshedAt: null });
  owner = await createRole(database);
  await database.sql.unsafe(`grant create on database ${database.name} to ${owner.name};
    grant create on schema public to ${owner.name};
    do $$ declare one regclass; begin
      for one in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') loop
        execute format('alter table %s owner to ${owner.name}', one);
      end loop; end $$`);
  await refreshed(owner);
  await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
    select 1 + n % 2, timestamptz '2025-11-20+00' + n * interval '5 hours', n / 4.0 from generate_series(0, 90) n`);
  await refreshed(owner);
});
afterEach(async () => {
  await dropRoles(database.sql, [owner]);
  await database.drop();
});

describe.each(['origin', 'replica'])('in a session of role %s', (role) => {
  it('drain moves rows, and nothing else is counted anew than what moved', async () => {
    if (role === 'replica')
      await database.sql.unsafe(
        `alter role ${owner.name} superuser; alter role ${owner.name} set session_replication_role to replica`,
      );
    const stored = await storedOf(database, '2026-02');
    await database.sql.unsafe(late('2025-11-20 00:10'));
    const drained = await partitions(owner, 'drain');
    expect(drained).toMatchObject({ exitCode: 0, changed: true });
    expect(drained.data.drained.map(({ name }: { name: string }) => name)).toEqual([
      'sensors_sensorreading_2025_11',
      'sensors_sensorreading_2025_12',
    ]);
    await refreshed(owner);
    await expectExact(database);
    expect(await storedOf(database, '2026-02')).toEqual(stored);
    expect(await refreshed(owner)).toMatchObject({ data: { written: 0, removed: 0 } });
  });
});

it('ensure --drain does, too', async () => {
  const words = ['partitions', 'ensure', '--from', '2025-11-01', '--months', '0', '--drain'];
  expect(await runJson(owner, words, { now: NOW })).toMatchObject({ exitCode: 0, data: { conflicts: [] } });
  await refreshed(owner);
  await expectExact(database);
});

it('what is moved into quarantine is in no aggregate any more', async () => {
  await database.sql.unsafe(`${late('1970-01-01 00:10')}; ${late('2199-01-01 00:10')}`);
  await refreshed(owner);
  await expectExact(database);
  expect(await partitions(owner, 'drain', '--quarantine', 'odd')).toMatchObject({
    exitCode: 0,
    data: { quarantined: { rows: 2 } },
  });
  await refreshed(owner);
  await expectExact(database);
  expect(
    await database.sql`select from sensors_sensoraggregate where hour < '2000-01-01' or hour > '2100-01-01'`,
  ).toHaveLength(0);
});

it('the ordinary owner detaches, drops and attaches', async () => {
  expect(await partitions(owner, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
  expect(await partitions(owner, 'attach', JANUARY)).toMatchObject({ exitCode: 0 });
  await refreshed(owner);
  await expectExact(database);
  expect(await partitions(owner, 'detach', JANUARY)).toMatchObject({ exitCode: 0 });
  expect(await partitions(owner, 'drop', JANUARY, '--yes')).toMatchObject({ exitCode: 0 });
});

it('a trigger of the user keeps a drain from moving rows, as before', async () => {
  await database.sql.unsafe(`create function log_change() returns trigger language plpgsql as 'begin return null; end';
    create trigger mine after delete on sensors_sensorreading for each row execute function log_change()`);
  expect(await partitions(owner, 'drain')).toMatchObject({ exitCode: 3, data: { drained: [] } });
});
