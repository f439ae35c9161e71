import type { Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { liveDatabase, NOW, relations, until } from '../support/live.ts';
import { startProxy } from '../support/proxy.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
let other: Sql;

beforeAll(async () => {
  database = await liveDatabase();
  // The tool's own schema is there: what a test compares is the application's.
  expect((await ensure(['--months', '0'])).exitCode).toBe(0);
});
afterAll(() => database.drop());

beforeEach(() => {
  other = database.connect();
});
afterEach(async () => {
  await other.unsafe('rollback');
  await other.end();
  const leaves = await database.sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'sensors_sensorreading'::regclass and c.relname ~ '_2026_0[4-9]'`;
  for (const { name } of leaves) await database.sql.unsafe(`drop table ${name}`);
});

function ensure(words: readonly string[], url = database.url) {
  return runCli(['partitions', 'ensure', '--json', ...words], { url, now: NOW });
}

async function pidOf(sql: Sql): Promise<number> {
  return ((await sql`select pg_backend_pid() as pid`)[0] as unknown as { pid: number }).pid;
}

describe('ensure while others work on the table', () => {
  it.each([
    [
      'a writer of readings',
      `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-05', 1)`,
    ],
    ['a reader of readings', `select count(*) from sensors_sensorreading_2026_03`],
    ['a reader of devices', `select * from sensors_device`],
    ['a reader of devices that locks them', `select * from sensors_device for update`],
  ])('creates leaves beside %s that is idle in a transaction', async (_who, statement) => {
    await other.unsafe(`begin; ${statement}`);
    const { exitCode, json } = await ensure(['--months', '2', '--wait', '0s']);
    expect(exitCode).toBe(0);
    expect(json().data.created).toEqual(['sensors_sensorreading_2026_04', 'sensors_sensorreading_2026_05']);
    const pid = await pidOf(other);
    const held = await database.sql`select state from pg_stat_activity where pid = ${pid}`;
    expect(held).toEqual([{ state: 'idle in transaction' }]);
  });

  it.each([
    ['wrote a device', 'update sensors_device set name = name', 'RowExclusiveLock on public.sensors_device'],
    [
      'reads DEFAULT through the parent',
      'select count(*) from sensors_sensorreading',
      'AccessShareLock on public.sensors_sensorreading_default',
    ],
    [
      'holds what autovacuum takes on DEFAULT',
      'lock table sensors_sensorreading_default in share update exclusive mode',
      'ShareUpdateExclusiveLock on public.sensors_sensorreading_default',
    ],
    [
      'holds what ANALYZE takes on the parent',
      'lock table only sensors_sensorreading in share update exclusive mode',
      'ShareUpdateExclusiveLock on public.sensors_sensorreading',
    ],
  ])('names who %s, makes nothing by halves, and exits 5', async (_who, statement, lock) => {
    const before = await relations(database);
    await other.unsafe(`set application_name to 'nightly report'; begin`);
    await other.unsafe(statement);
    const { exitCode, json } = await ensure(['--months', '2', '--wait', '150ms']);
    expect(exitCode).toBe(5);
    const { error, changed, data } = json();
    expect(error?.code).toBe('lock_budget_spent');
    expect(error?.message).toContain(`pid ${await pidOf(other)} (user postgres, application nightly report`);
    expect(error?.message).toMatch(/idle in transaction, for \d+ s\)/);
    expect(error?.message).toContain(`holds ${lock}`);
    expect(error?.message).toContain(statement);
    expect([changed, data.created]).toEqual([false, []]);
    expect(await relations(database)).toEqual(before);
  });

  it('carries on as soon as the one in the way has ended', async () => {
    await other.unsafe('begin; update sensors_device set name = name');
    const proxy = await startProxy(database.url);
    const run = ensure(['--months', '1', '--wait', '20s'], proxy.url);
    await until('the run looks for blockers', () => looks(proxy.statements) >= 3);
    await other.unsafe('commit');
    expect((await run).exitCode).toBe(0);
    await proxy.close();
  });

  it('keeps out of the lock queue while it waits: others read and write meanwhile', async () => {
    await other.unsafe(`begin; update sensors_device set name = name; select * from sensors_sensorreading`);
    const proxy = await startProxy(database.url);
    let ended = false;
    const run = ensure(['--months', '1', '--wait', '20s'], proxy.url).finally(() => {
      ended = true;
    });
    await until('the run looks for blockers', () => looks(proxy.statements) >= 3);
    const third = database.connect();
    await third`set statement_timeout to '5s'`;
    for (let round = 0; round < 40; round += 1) {
      await third`insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2027-01-01', 1)`;
      await third`select count(*) from sensors_sensorreading`;
      await third`insert into sensors_device (name, serial_number) values ('new', ${`n-${round}`})`;
    }
    const waiting = await third`select mode from pg_locks where locktype = 'relation' and not granted`;
    expect(waiting).toHaveLength(0);
    expect(ended).toBe(false);
    await other.unsafe('commit');
    expect((await run).exitCode).toBe(0);
    await third`delete from sensors_sensorreading`;
    await proxy.close();
  });

  it('waits behind somebody who only waits for a lock, and names him', async () => {
    const queued = database.connect();
    await other.unsafe('begin; select * from sensors_sensorreading_default');
    const pid = await pidOf(queued);
    const lock = queued.unsafe('begin; lock table sensors_sensorreading_default; rollback');
    lock.catch(() => {});
    await until('the lock is awaited', async () => {
      const rows = await database.sql`select from pg_locks where pid = ${pid} and not granted`;
      return rows.length > 0;
    });
    const { exitCode, json } = await ensure(['--months', '1', '--wait', '100ms']);
    expect(exitCode).toBe(5);
    expect(json().error?.message).toMatch(new RegExp(`pid ${pid} .*waits for AccessExclusiveLock`));
    await other.unsafe('rollback');
    await lock;
  });

  it('names a prepared transaction, which has no session', async () => {
    await other.unsafe(`begin; update sensors_device set name = name`);
    await other.unsafe(`prepare transaction 'forgotten one'`);
    const { exitCode, json } = await ensure(['--months', '1', '--wait', '0s']);
    await other.unsafe(`rollback prepared 'forgotten one'`);
    expect(exitCode).toBe(5);
    expect(json().error?.message).toMatch(
      /a prepared transaction \(user postgres, prepared as forgotten one, for \d+ s\) holds RowExclusiveLock/,
    );
  });

  it.each(['lock table', 'lock table only'])('is busy, not broken, behind %s', async (lock) => {
    await other.unsafe(`begin; ${lock} sensors_sensorreading in access exclusive mode`);
    const { exitCode, json } = await ensure(['--months', '1', '--wait', '0s']);
    expect(exitCode).toBe(5);
    expect(json().error?.sqlstate).toBe('55P03');
  });

  it('keeps the passwords in a query of who is in the way to itself', async () => {
    const role = `test_${process.pid}_role`;
    await other.unsafe(`begin; update sensors_device set name = name`);
    await other.unsafe(`create role ${role} password 'hush-hush' /* postgresql://u:hush-hush@h/d */`);
    const { exitCode, stdout } = await ensure(['--months', '1', '--wait', '0s']);
    expect(exitCode).toBe(5);
    expect(stdout).toContain(`create role ${role} password '***'`);
    expect(stdout).not.toContain('hush-hush');
  });
});

function looks(statements: readonly string[]): number {
  return statements.filter((text) => text.includes('pg_prepared_xacts')).length;
}
