import type { Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { liveDatabase, NOW, until } from '../support/live.ts';
import { type ProxyHooks, startProxy } from '../support/proxy.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await liveDatabase();
});
afterEach(() => database.drop());

const APRIL = 'sensors_sensorreading_2026_04';
const MAY = 'sensors_sensorreading_2026_05';
const JUNE = 'sensors_sensorreading_2026_06';

function ensure(words: readonly string[], url = database.url) {
  return runCli(['partitions', 'ensure', '--json', ...words], { url, now: NOW });
}

async function leaves(parent = 'sensors_sensorreading'): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }[]>`
    select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = ${parent}::regclass and pg_get_expr(c.relpartbound, 0) <> 'DEFAULT' order by 1`;
  return rows.map(({ name }) => name);
}

/** Runs ensure and does something at the first statement that matches, before the server gets it. */
async function ensureWith(words: readonly string[], pattern: RegExp, action: () => Promise<unknown>) {
  let done = false;
  const before: ProxyHooks['before'] = async ({ text }) => {
    if (done || !pattern.test(text)) return;
    done = true;
    await action();
  };
  const proxy = await startProxy(database.url, { before });
  const result = await ensure(words, proxy.url);
  await proxy.close();
  expect(done).toBe(true);
  return result;
}

describe('two runs of ensure at once', () => {
  it('make one set of leaves of the same table, from a database without schema sensordb', async () => {
    const results = await Promise.all([1, 2, 3].map(() => ensure(['--months', '3'])));
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    const created = results.flatMap(({ json }) => json().data.created).sort();
    expect(created).toEqual([APRIL, MAY, JUNE]);
    const once = await database.sql`select count(*) = count(distinct version) and count(*) > 0 as once
      from sensordb.migration`;
    expect(once).toEqual([{ once: true }]);
    expect(await database.sql`select exit_code from sensordb.run_log`).toHaveLength(3);
  });

  it('both go on different tables', async () => {
    await database.sql.unsafe('create table other (at date) partition by range (at)');
    let inside = false;
    const { exitCode } = await ensureWith(['--months', '1'], /^create table .*_2026_04/, async () => {
      const other = await ensure(['--table', 'other', '--months', '1', '--wait', '0s']);
      expect([other.exitCode, other.json().data.created]).toEqual([0, ['other_2026_03', 'other_2026_04']]);
      inside = true;
    });
    expect([exitCode, inside]).toEqual([0, true]);
  });

  it('exclude each other: the one that may not wait is busy, and names the other', async () => {
    const { exitCode } = await ensureWith(['--months', '1'], /^create table .*_2026_04/, async () => {
      const { exitCode: busy, json } = await ensure(['--months', '1', '--wait', '0s']);
      expect(busy).toBe(5);
      expect(json().error).toMatchObject({ code: 'locked', object: 'public.sensors_sensorreading' });
      expect(json().error?.message).toMatch(/pid \d+ \(user postgres, application sensordb\) holds the lock/);
    });
    expect(exitCode).toBe(0);
  });

  it('are not confused by a lock of the same number in another database', async () => {
    const elsewhere = await liveDatabase();
    const [table] = await database.sql<{ oid: number }[]>`
      select 'sensors_sensorreading'::regclass::oid::int4 as oid`;
    const lock = (sql: Sql) => sql<{ pid: number }[]>`
      select pg_backend_pid() as pid, pg_advisory_lock(1396982274, ${table?.oid ?? 0})`;
    await lock(elsewhere.connect());
    expect((await ensure(['--months', '1', '--wait', '0s'])).exitCode).toBe(0);
    const [here] = await lock(database.connect());
    const { exitCode, json } = await ensure(['--months', '2', '--wait', '0s']);
    expect(exitCode).toBe(5);
    expect(json().error?.message).toContain(`pid ${here?.pid} `);
    await elsewhere.drop();
  });
});

it('waits for the lock of a session that does nothing, and then is busy, naming its pid', async () => {
  const idle = database.connect();
  const [holder] = await idle<{ pid: number }[]>`
    select pg_backend_pid() as pid, pg_advisory_lock(1396982274, 'sensors_sensorreading'::regclass::oid::int4)`;
  const { exitCode, json } = await ensure(['--months', '1', '--wait', '200ms']);
  expect(exitCode).toBe(5);
  expect(json().error?.message).toContain(`pid ${holder?.pid} (user postgres, application sensordb-test)`);
  expect(await leaves()).toEqual(['sensors_sensorreading_2026_03']);
  const waiting = ensure(['--months', '1', '--wait', '20s']);
  await until('the run asks for the lock', async () => {
    const rows = await database.sql`select from pg_stat_activity
      where datname = current_database() and application_name = 'sensordb' and query like '%try_advisory_lock%'`;
    return rows.length > 0;
  });
  await idle.unsafe('select pg_advisory_unlock_all()');
  expect((await waiting).exitCode).toBe(0);
});

describe('what others do between the plan and its execution', () => {
  it('is a conflict over one leaf when they made that very leaf; the others are made', async () => {
    const { exitCode, json } = await ensureWith(['--months', '3'], /^create table .*_2026_04/, () =>
      database.sql.unsafe(
        `create table ${APRIL} partition of sensors_sensorreading for values from ('2026-04-01') to ('2026-05-01')`,
      ),
    );
    expect(exitCode).toBe(3);
    const { created, conflicts } = json().data;
    expect(created).toEqual([MAY, JUNE]);
    expect(conflicts).toMatchObject([{ lower: '2026-04-01T00:00:00Z', reason: 'name_taken' }]);
    expect(await leaves()).toHaveLength(4);
  });

  it('is a conflict when they made a leaf of another name for that time', async () => {
    const { exitCode, json } = await ensureWith(['--months', '2'], /^create table .*_2026_04/, () =>
      database.sql.unsafe(
        `create table theirs partition of sensors_sensorreading for values from ('2026-04-10') to ('2026-04-20')`,
      ),
    );
    expect(exitCode).toBe(3);
    expect(json().data.created).toEqual([MAY]);
    expect(json().data.conflicts).toMatchObject([{ lower: '2026-04-01T00:00:00Z', reason: 'overlap' }]);
    expect(json().error).toBeNull();
  });

  it('is a conflict when a row of that time came into DEFAULT, and the row stays', async () => {
    const { exitCode, json } = await ensureWith(['--months', '2'], /^create table .*_2026_04/, () =>
      database.sql.unsafe(
        `insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-04-17 08:00Z', 1)`,
      ),
    );
    expect(exitCode).toBe(3);
    expect(json().data.created).toEqual([MAY]);
    expect(json().data.conflicts).toMatchObject([
      { lower: '2026-04-01T00:00:00Z', reason: 'rows_in_default', rows: 1, earliest: '2026-04-17T08:00:00Z' },
    ]);
    expect(await database.sql`select from sensors_sensorreading_default`).toHaveLength(1);
  });

  it('reports what it made when it cannot look into DEFAULT any more', async () => {
    const other = await database.connect();
    const { exitCode, json } = await ensureWith(
      ['--months', '2', '--wait', '500ms'],
      /^create table .*_2026_05/,
      async () => {
        await other`insert into sensors_sensorreading (device_id, "timestamp", value) values (1, '2026-05-05Z', 1)`;
        await other.unsafe('begin; lock table sensors_sensorreading_default in access exclusive mode');
      },
    );
    await other.unsafe('rollback');
    await other.end();
    expect(exitCode).toBe(5);
    expect(json()).toMatchObject({
      changed: true,
      data: { created: [APRIL] },
      error: { code: 'lock_budget_spent' },
    });
  });

  it('fails, and says so, when they dropped the whole table', async () => {
    const { exitCode, json, stderr } = await ensureWith(['--months', '2'], /^create table .*_2026_04/, () =>
      database.sql.unsafe('drop table sensors_sensorreading cascade'),
    );
    expect(exitCode).toBe(1);
    expect(json().error).toMatchObject({ code: 'sql_error', sqlstate: '42P01' });
    expect(stderr).toBe('');
  });
});
