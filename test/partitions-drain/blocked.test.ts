import type { Sql } from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectTo } from '../support/connect.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createRole, dropRoles } from '../support/roles.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
let other: Sql;
beforeEach(async () => {
  database = await createDatabase();
  await database.sql.unsafe(`create table t (id int, at timestamptz, v int, primary key (id, at)) partition by range (at);
    create table t_2026_03 partition of t for values from ('2026-03-01+00') to ('2026-04-01+00');
    create table t_default partition of t default;
    insert into t select g, timestamptz '2026-04-01+00' + g * interval '1 minute', 0 from generate_series(1, 3000) g`);
  other = database.connect();
});
afterEach(async () => {
  await other.unsafe('rollback');
  await database.drop();
});

const drain = (words: readonly string[] = [], url = database.url) =>
  runJson({ url }, ['partitions', 'drain', '-t', 't', ...words]);

const counts = async () =>
  (await database.sql`select count(*)::int as n, count(distinct (id, at))::int as ids from t`)[0];

describe('drain beside a transaction that stays open', () => {
  it.each([
    [
      'reads the table',
      'read committed',
      'select count(*) from t where id < 10',
      'AccessShareLock on public.t',
    ],
    [
      'wrote a row that is to be moved',
      'read committed',
      'update t set v = 1 where id = 7',
      'Lock on public.t',
    ],
    [
      'has a snapshot and touched nothing of it',
      'repeatable read',
      'select 1',
      'snapshot that would miss the rows',
    ],
  ])('that %s names it, keeps what it copied, and exits 5', async (_, level, statement, how) => {
    await other.unsafe(`begin isolation level ${level}; set local application_name to 'nightly'`);
    await other.unsafe(statement);
    const result = await drain(['--wait', '300ms']);
    expect(result).toMatchObject({ exitCode: 5, changed: false, error: { code: 'lock_budget_spent' } });
    expect(result.error?.message).toContain('application nightly');
    expect(result.error?.message).toContain(how);
    expect(await counts()).toEqual({ n: 3000, ids: 3000 });
    await other.unsafe('commit');
    const again = await drain();
    expect(again).toMatchObject({ exitCode: 0, data: { drained: [{ name: 't_2026_04', rows: 3000 }] } });
    expect(await counts()).toEqual({ n: 3000, ids: 3000 });
  });

  it('carries on when that ends, and takes what it wrote', async () => {
    await other.unsafe(`begin; update t set v = 5 where id between 10 and 20; delete from t where id = 1;
      insert into t values (9000, '2026-04-20+00', 1)`);
    const proxy = await startProxy(database.url);
    const run = drain(['--wait', '20s'], proxy.url);
    while (
      !proxy.statements.some((text) => text.includes('pg_prepared_xacts') && text.includes('public.t'))
    ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (proxy.statements.filter((text) => text.includes('pg_prepared_xacts')).length > 8) break;
    }
    await other.unsafe('commit');
    expect(await run).toMatchObject({ exitCode: 0, data: { drained: [{ rows: 3000 }] } });
    await proxy.close();
    expect(await database.sql`select count(*)::int as n from t_2026_04 where v = 5`).toEqual([{ n: 11 }]);
  });

  it('asks but once for a lock that is held since its last transaction began', async () => {
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (text === 'savepoint before_locks') await other.unsafe('begin; select count(*) from t');
      },
    });
    const held = await drain(['--wait', '1s'], proxy.url);
    await proxy.close();
    expect(held.error?.message).toContain('AccessShareLock on public.t');
    const asked = proxy.statements.filter((text) => /^lock table only public\.t in access excl/i.test(text));
    expect(asked).toHaveLength(1);
  });

  it('gives way to whoever wants to change a row that it has moved already', async () => {
    const proxy = await startProxy(database.url, {
      after: async ({ text }) => {
        // The rows are deleted and not yet committed: this update waits for that transaction.
        if (!text.includes('as removed') || waiting !== null) return;
        waiting = other`update t set v = 7 where id = 2999`;
        waiting.catch(() => {});
        await until(async () => {
          const [found] =
            await database.sql`select count(*)::int as n from pg_locks where locktype = 'transactionid' and not granted`;
          return found?.n > 0;
        });
      },
    });
    let waiting: Promise<unknown> | null = null;
    const result = await drain([], proxy.url);
    await proxy.close();
    expect(result).toMatchObject({ exitCode: 0, data: { drained: [{ rows: 3000 }] } });
    expect(waiting).not.toBeNull();
    expect(await waiting).toHaveProperty('count', 1);
    expect(await database.sql`select v from t_2026_04 where id = 2999`).toEqual([{ v: 7 }]);
  });
});

describe('drain beside a REPEATABLE READ transaction', () => {
  const seen = async (sql: Sql) => (await sql`select count(*)::int as n from t`)[0]?.n;

  it('of a role whose state is hidden waits for it, and warns', async () => {
    const [owner, app] = [await createRole(database), await createRole(database)];
    await database.sql.unsafe(`create table elsewhere (x int); grant select on elsewhere, t to ${app.name};
      grant create on database ${database.name} to ${owner.name}; grant create, usage on schema public to ${owner.name};
      alter table t owner to ${owner.name}; alter table t_default owner to ${owner.name}; alter table t_2026_03 owner to ${owner.name}`);
    const reader = connectTo(app.url);
    await reader.unsafe('begin isolation level repeatable read; select from elsewhere');
    const held = await drain(['--wait', '300ms'], owner.url);
    expect(held).toMatchObject({ exitCode: 5, changed: false, error: { code: 'lock_budget_spent' } });
    expect(held.error?.message).toContain('snapshot that would miss the rows');
    expect(held.warnings.map(({ code }) => code)).toContain('snapshots_hidden');
    expect(await seen(reader)).toBe(3000);
    await reader.end();
    expect(await drain([], owner.url)).toMatchObject({ exitCode: 0, data: { drained: [{ rows: 3000 }] } });
    await dropRoles(database.sql, [owner, app]);
  });

  it('that is in the midst of a statement waits for it', async () => {
    await other.unsafe('begin isolation level repeatable read');
    await other.unsafe('select 1');
    const statement = other`select pg_sleep(600)`;
    statement.catch(() => {});
    await until(async () => {
      const found =
        await database.sql`select pid from pg_stat_activity where state = 'active' and query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`;
      return found.length > 0;
    });
    const held = await drain(['--wait', '300ms']);
    expect(held).toMatchObject({ exitCode: 5, changed: false, error: { code: 'lock_budget_spent' } });
    expect(held.error?.message).toContain('snapshot that would miss the rows');
    await database.sql`select pg_cancel_backend(pid) from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()`;
  });

  it('goes on when that ends', async () => {
    await other.unsafe('begin isolation level repeatable read; select 1');
    let looks = 0;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (text.includes('"isIdle"')) looks += 1;
        if (looks === 3) await other.unsafe('rollback');
      },
    });
    expect(await drain(['--wait', '5s'], proxy.url)).toMatchObject({
      exitCode: 0,
      data: { drained: [{ rows: 3000 }] },
    });
    await proxy.close();
  });

  it('that began while it waited for somebody else waits for it, too', async () => {
    const late = database.connect();
    let isHeld = false;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        // Without a snapshot, but in the way of the lock on the parent.
        if (text === 'savepoint before_locks') {
          await other.unsafe('begin; lock table only t in access share mode');
        }
        if (isHeld || text !== 'rollback to savepoint before_locks') return;
        isHeld = true;
        await late.unsafe('begin isolation level repeatable read; select 1');
        await other.unsafe('rollback');
      },
    });
    const held = await drain(['--wait', '1s'], proxy.url);
    await proxy.close();
    expect(isHeld).toBe(true);
    expect(await seen(late)).toBe(3000);
    expect(held).toMatchObject({ exitCode: 5, changed: false, error: { code: 'lock_budget_spent' } });
    expect(held.error?.message).toContain('snapshot that would miss the rows');
  });

  it('that calls itself sensordb waits for it', async () => {
    await other.unsafe(`begin isolation level repeatable read; set local application_name to 'sensordb'`);
    await other.unsafe('select 1');
    expect(await drain(['--wait', '300ms'])).toMatchObject({ exitCode: 5, changed: false });
    expect(await seen(other)).toBe(3000);
  });
});

describe('copies that are of no use any more', () => {
  const unfinished = async (more: string) => {
    await other.unsafe('begin; select count(*) from t');
    expect(await drain(['--wait', '0s'])).toMatchObject({ exitCode: 5 });
    await other.unsafe('rollback');
    expect(await database.sql`select to_regclass('t_2026_04_draining') is not null as made`).toEqual([
      { made: true },
    ]);
    await database.sql.unsafe(more);
  };
  const left = () =>
    database.sql`select relname::text from pg_class where relname ~ 'draining' and relkind = 'r'`;

  it.each([
    ['DEFAULT was rewritten', 'vacuum full t_default', 3000],
    ['somebody emptied them', 'truncate t_2026_04_draining', 3000],
    ['somebody deleted some of them', 'delete from t_2026_04_draining where id < 10', 3000],
    ['somebody wrote into them', `insert into t_2026_04_draining values (0, '2026-04-05+00')`, 3000],
    ['the table got a column', 'alter table t add column w int default 3', 3000],
    ['many rows changed and went', 'update t set v = 2; delete from t where id > 1000', 1000],
  ])('because %s are made anew or brought up to date', async (_, change, rows) => {
    await unfinished(change);
    await database.sql.unsafe('create table kept as table t');
    expect(await drain()).toMatchObject({ exitCode: 0, data: { drained: [{ name: 't_2026_04', rows }] } });
    const { count } =
      await database.sql`(table kept except all table t) union all (table t except all table kept)`;
    expect(count).toBe(0);
    expect(await left()).toHaveLength(0);
    expect(await database.sql`select count(*)::int as n from sensordb.drain_row`).toEqual([{ n: 0 }]);
  });

  it('are dropped when DEFAULT has no row of their period any more', async () => {
    await unfinished('delete from t');
    expect(await drain()).toMatchObject({ exitCode: 0, changed: false, data: { drained: [] } });
    expect(await left()).toHaveLength(0);
  });

  it('are forgotten when somebody dropped them', async () => {
    await unfinished('drop table t_2026_04_draining');
    expect(await drain()).toMatchObject({ exitCode: 0, data: { drained: [{ rows: 3000 }] } });
    expect(await database.sql`select count(*)::int as n from sensordb.drain_row`).toEqual([{ n: 0 }]);
    expect(await database.sql`select state from sensordb.drain order by id`).toEqual([
      { state: 'given_up' },
      { state: 'done' },
    ]);
  });

  it('are not taken for a stranger by ensure', async () => {
    await unfinished('');
    const words = ['partitions', 'ensure', '-t', 't', '--months', '1', '--drain'];
    expect(await runJson(database, words)).toMatchObject({ exitCode: 0, data: { created: ['t_2026_04'] } });
    expect(await left()).toHaveLength(0);
  });
});
