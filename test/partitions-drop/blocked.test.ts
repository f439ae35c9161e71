import type { Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { until } from '../support/live.ts';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

beforeEach(async () => {
  await database.sql.unsafe(`set client_min_messages to warning;
    drop schema public cascade; create schema public; drop schema if exists sensordb cascade;
    create table device (id bigint primary key);
    create table t (device_id bigint references device, at timestamptz not null) partition by range (at);
    create table t_1 partition of t for values from ('2025-01-01Z') to ('2025-02-01Z');
    create table t_2 partition of t for values from ('2025-02-01Z') to ('2025-03-01Z');
    create table t_3 partition of t for values from ('2025-03-01Z') to ('2025-04-01Z');
    create table t_now partition of t for values from ('2026-03-01Z') to ('2026-04-01Z');
    create table t_default partition of t default;
    insert into device values (1)`);
});

const WORDS = ['partitions', 'drop', '-t', 't', '--before', '2026', '--yes'];
const drop = (...words: string[]) => runJson(database, [...WORDS, ...words]);

/** Holds locks in a transaction of its own while something else is done. */
async function whileHolding<T>(statement: string, work: (holder: Sql) => Promise<T>): Promise<T> {
  const holder = database.connect();
  await holder.unsafe(`begin; ${statement}`);
  await until('he is older than one try may wait: only then he is waited for without queueing', async () => {
    const [row] = await holder`select clock_timestamp() - xact_start > interval '150 ms' as is
      from pg_stat_activity where pid = pg_backend_pid()`;
    return row?.is === true;
  });
  try {
    return await work(holder);
  } finally {
    await holder.unsafe('rollback');
  }
}

it.each([
  ['the parent', 'select from only t', ['t_1', 't_2', 't_3']],
  ['the whole table', 'select from t', ['t_1', 't_2', 't_3']],
  ['DEFAULT', 'select from t_default', ['t_1', 't_2', 't_3']],
  ['one leaf', 'select from t_1', ['t_1']],
])(
  'with a reader of %s that never ends, drops what it can and names him for the rest',
  async (_what, statement, blocked) => {
    await whileHolding(statement, async () => {
      const result = await drop('--wait', '300ms');
      const dropped = ['t_1', 't_2', 't_3'].filter((name) => !blocked.includes(name));
      expect(result).toMatchObject({
        exitCode: 5,
        ok: false,
        changed: dropped.length > 0,
        data: { dropped, refused: blocked.map((name) => ({ name, reason: 'blocked' })) },
        error: { code: 'blocked' },
      });
      for (const { message } of result.data.refused)
        expect(message).toMatch(/blocked by pid \d+ \(user postgres/);
    });
    expect((await drop()).exitCode).toBe(0);
    expect(await database.sql`select to_regclass('t_1') as t_1, to_regclass('t_3') as t_3`).toEqual([
      { t_1: null, t_3: null },
    ]);
  },
);

it('without DEFAULT it says what gets past an idle transaction that has touched the table, which does', async () => {
  await database.sql.unsafe('drop table t_default');
  await whileHolding('lock table only t in access share mode', async (holder) => {
    await holder.unsafe('select'); // A statement of the extended protocol may have left its snapshot.
    const result = await drop('--wait', '0s');
    expect(result).toMatchObject({ exitCode: 5, data: { dropped: [] } });
    const [hint] = /sensordb partitions detach \S+ --table \S+(?=;)/.exec(result.data.refused[0].hint) ?? [];
    const detached = await runJson(database, (hint ?? '').split(' ').slice(1));
    expect(detached).toMatchObject({ exitCode: 0, data: { detached: ['t_1'] } });
    expect(await drop('--wait', '0s')).toMatchObject({ exitCode: 5, data: { dropped: ['t_1'] } });
  });
});

it('goes on with the others at once, and waits for the one that is blocked afterwards', async () => {
  await whileHolding('select from t_1', async (holder) => {
    const running = drop('--wait', '60s');
    await until('the others are dropped', async () => {
      const rows = await database.sql`select from pg_class where relname in ('t_2', 't_3')`;
      return rows.length === 0;
    });
    await holder.unsafe('rollback');
    expect(await running).toMatchObject({ exitCode: 0, data: { dropped: ['t_1', 't_2', 't_3'] } });
  });
});

it('drops an attached leaf beside a writer of a referenced table, which a detached one has to wait for', async () => {
  await runJson(database, ['partitions', 'ensure', '-t', 't', '--months', '0']);
  await database.sql.unsafe(`insert into sensordb.detached_leaf (parent_oid, parent_schema, parent_name, leaf_oid,
      leaf_schema, leaf_name, bound, lower_bound, upper_bound, state)
    values ('t'::regclass, 'public', 't', 't_1'::regclass, 'public', 't_1', '', '2025-01-01Z', '2025-02-01Z', 'detached');
    alter table t detach partition t_1`);
  await whileHolding('update device set id = id', async () => {
    const result = await drop('--wait', '0s');
    expect(result).toMatchObject({
      exitCode: 5,
      data: { dropped: ['t_2', 't_3'], refused: [{ name: 't_1', reason: 'blocked' }] },
      error: { object: 't_1', message: expect.stringMatching(/RowExclusiveLock on public\.device/) },
    });
  });
  expect((await drop()).data.dropped).toEqual(['t_1']);
});

it('gives up soon when somebody comes to the leaf while it holds the parent, and tries again', async () => {
  const other = database.connect();
  let tries = 0;
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (!text.startsWith('drop table public.t_1')) return;
      tries += 1;
      if (tries === 1) await other.unsafe('begin; select from t_1');
    },
    after: async ({ text }) => {
      if (text === 'rollback' && tries === 1) await other.unsafe('commit');
    },
  });
  const result = await runJson({ url: proxy.url }, [...WORDS.slice(0, 4), 't_1', '--yes', '--wait', '60s']);
  const timeouts = proxy.statements.filter((text) => text.startsWith('set local lock_timeout'));
  await proxy.close();
  expect(result).toMatchObject({ exitCode: 0, data: { dropped: ['t_1'] } });
  expect([tries, timeouts]).toEqual([
    2,
    ["set local lock_timeout to '25ms'", "set local lock_timeout to '25ms'"],
  ]);
});

it('holds up no reader of the leaf while it waits for the parent', async () => {
  // Without sensordb's own tables its first question to the gate fails.
  await runJson(database, ['migrate', 'up', '--state-only']);
  const other = database.connect();
  const reader = database.connect();
  let hasRead = false;
  let isHeld = false;
  const readWhileItWaits = async () => {
    await until('it waits for the parent', async () => {
      const rows = await database.sql`select from pg_locks where relation = 't'::regclass and not granted
        and waitstart < clock_timestamp() - interval '100 ms'`;
      return rows.length > 0;
    });
    await reader.unsafe("set lock_timeout to '1s'");
    hasRead = await reader.unsafe('select from t_1').then(
      () => true,
      () => false,
    );
    await other.unsafe('rollback');
  };
  let reading: Promise<void> | null = null;
  const proxy = await startProxy(database.url, {
    before: async ({ text }) => {
      if (isHeld || !/^(lock table only public\.t|drop table)/.test(text)) return;
      isHeld = true;
      await other.unsafe('begin; select from only t');
      reading = readWhileItWaits();
    },
  });
  const words = [...WORDS.slice(0, 4), 't_1', '--yes', '--lock-timeout', '20s'];
  const result = await runJson({ url: proxy.url }, words);
  await reading;
  await proxy.close();
  expect([result.exitCode, hasRead]).toEqual([0, true]);
  // For the parent it waits as long as one try may.
  expect(proxy.statements).not.toContain('rollback');
});

it('a reader that comes and goes is outwaited', async () => {
  let looks = 0;
  let isOver = false;
  const proxy = await startProxy(database.url, {
    before: ({ text }) => {
      // How it looks who is in its way.
      if (text.includes('pg_prepared_xacts')) looks += 1;
    },
  });
  const reader = database.connect();
  const comeAndGo = async () => {
    for (let left = 3; left > 0 && !isOver; left = (await leavesLeft()).length) {
      await reader.unsafe('begin; select from t');
      const before = looks;
      const there = await leavesLeft();
      await until('it has found him in its way twice', () => isOver || looks >= before + 2);
      await reader.unsafe('commit');
      await until('it has dropped a leaf', async () => isOver || (await leavesLeft()).length < there.length);
    }
  };
  await reader.unsafe('begin; select from t');
  const running = runJson({ url: proxy.url }, [...WORDS, '--wait', '60s']).finally(() => {
    isOver = true;
  });
  await until('it has found him in its way', () => looks >= 2);
  await reader.unsafe('commit');
  const reading = comeAndGo();
  const result = await running;
  await reading;
  await proxy.close();
  expect(result).toMatchObject({ exitCode: 0, data: { dropped: ['t_1', 't_2', 't_3'] } });
});

async function leavesLeft() {
  return await database.sql`select from pg_class where relname in ('t_1', 't_2', 't_3')`;
}

it('two runs at once drop every leaf once', async () => {
  const results = await Promise.all([drop(), drop()]);
  expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(results.flatMap(({ data }) => data.dropped).sort()).toEqual(['t_1', 't_2', 't_3']);
  expect((await database.sql`select from sensordb.detached_leaf`).length).toBe(3);
});
