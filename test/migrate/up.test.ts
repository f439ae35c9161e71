import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.ts';
import { until } from '../support/live.ts';
import { runMigrations } from '../support/migrations.ts';
import { startProxy } from '../support/proxy.ts';
import { dumpSchema } from '../support/schema-dump.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(() => database.drop());

const TABLES = [
  'sensors_device',
  'sensors_sensorreading',
  'sensors_sensoraggregate',
  'orders_order',
  'orders_orderlineitem',
  'orders_payment',
];
const ALL = [...TABLES, 'sensors_sensoraggregate_views', 'sensors_sensoraggregate_live'].map((name, at) => ({
  version: at + 1,
  name,
}));

function migrate(words: readonly string[], url = database.url) {
  return runCli(['migrate', ...words, '--json'], { url });
}

async function tables(schema = 'public'): Promise<readonly string[]> {
  const rows = await database.sql<{ name: string }[]>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = ${schema} and c.relkind in ('r', 'p') and not c.relispartition order by 1`;
  return rows.map(({ name }) => name);
}

describe('migrate up', () => {
  it('applies what is pending, once', async () => {
    const first = await migrate(['up']);
    expect(first.exitCode).toBe(0);
    expect(first.json()).toMatchObject({ changed: true, data: { schema: 'public', applied: ALL } });
    expect(await tables()).toEqual([...TABLES].sort());
    const second = await migrate(['up']);
    expect(second.exitCode).toBe(0);
    expect(second.json()).toMatchObject({ changed: false, data: { applied: [], stateUpdated: false } });
  });

  it('waits for whom it would block, names him, and leaves a line in the run log', async () => {
    await migrate(['up']);
    await runMigrations(database.sql, 'public', 'down', 2);
    await database.sql`delete from sensordb.migration where schema_name = 'public' and version >= 2`;
    const writer = await database.connect();
    await writer.unsafe(`begin; insert into sensors_device (name, serial_number) values ('a', 'b')`);
    const steps = (await migrate(['up', '--dry-run'])).json().data.steps as { locks: object[] }[];
    const busy = await migrate(['up', '--wait', '200ms']);
    const [{ pid }] = (await writer`select pg_backend_pid() as pid`) as unknown as [{ pid: number }];
    await writer.unsafe('rollback');
    await writer.end();
    expect(steps[0]?.locks).toEqual([{ relation: 'public.sensors_device', mode: 'SHARE ROW EXCLUSIVE' }]);
    expect(busy.exitCode).toBe(5);
    expect(busy.json().error).toMatchObject({
      code: 'lock_budget_spent',
      object: 'public.sensors_device',
      message: expect.stringContaining(`pid ${pid} `),
    });
    expect(await database.sql`select exit_code from sensordb.run_log order by id desc limit 1`).toEqual([
      { exit_code: 5 },
    ]);
    expect((await migrate(['up'])).exitCode).toBe(0);
  });

  it('with --state-only needs no schema for the application, and leaves a line in the run log', async () => {
    await database.sql.unsafe('drop schema public');
    const { exitCode, json } = await migrate(['up', '--state-only']);
    expect([exitCode, json().changed, json().data.stateUpdated]).toEqual([0, false, true]);
    expect(await database.sql`select exit_code from sensordb.run_log`).toEqual([{ exit_code: 0 }]);
  });

  it('with --dry-run prints what a run would do, with the transactions, and changes nothing', async () => {
    const { exitCode, json } = await migrate(['up', '--dry-run']);
    expect(exitCode).toBe(0);
    expect(json().changed).toBe(false);
    expect(json().data.applied).toEqual(ALL);
    const { steps } = json().data;
    expect(new Set(steps.map(({ transaction }: { transaction: number }) => transaction)).size).toBe(12);
    expect(Object.keys(steps[0])).toEqual(['title', 'sql', 'transaction', 'locks']);
    expect(await database.sql`select from pg_namespace where nspname = 'sensordb'`).toHaveLength(0);
    for (const { sql } of steps) await database.sql.unsafe(sql);
    const byHand = await dumpSchema(database.sql, 'public');
    const other = await createDatabase();
    await migrate(['up'], other.url);
    expect(byHand).toBe(await dumpSchema(other.sql, 'public'));
    await other.drop();
  });

  it("with --state-only makes the tool's own schema alone", async () => {
    const { exitCode, json } = await migrate(['up', '--state-only']);
    expect(exitCode).toBe(0);
    expect(json()).toMatchObject({ changed: false, data: { applied: [], stateUpdated: true } });
    expect(await tables()).toEqual([]);
    expect(await tables('sensordb')).toEqual([
      'aggregate_change',
      'aggregate_leaf',
      'aggregate_pending',
      'aggregate_retired',
      'aggregate_skipped',
      'aggregate_source',
      'detached_leaf',
      'drain',
      'drain_row',
      'migration',
      'run_log',
    ]);
  });

  it.each(['we.ird "schema"', 'UPPER', "it's", '100% %s $1 \\ :x'])('works in schema %j', async (schema) => {
    await database.sql.unsafe(`create schema "${schema.replaceAll('"', '""')}"`);
    expect((await migrate(['up', '--schema', schema])).exitCode).toBe(0);
    expect(await tables(schema)).toEqual([...TABLES].sort());
    expect(await tables()).toEqual([]);
    const status = await migrate(['status', '--schema', schema, '--check']);
    expect([status.exitCode, status.json().data.applied.length]).toEqual([0, ALL.length]);
    expect((await migrate(['status', '--check'])).exitCode).toBe(3);
  });

  it.each([
    ['nowhere', 'unknown_schema'],
    ['sensordb', 'bad_schema'],
    ['pg_catalog', 'bad_schema'],
  ])('refuses schema %s', async (schema, code) => {
    const { exitCode, json } = await migrate(['up', '--schema', schema]);
    expect([exitCode, json().error?.code]).toEqual([2, code]);
  });

  it('run twice at once applies each migration once', async () => {
    const results = await Promise.all([1, 2, 3].map(() => migrate(['up'])));
    expect(results.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0]);
    const applied = results.flatMap(({ json }) => json().data.applied);
    expect(applied.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('reads the history under the lock: what another run applied meanwhile is not applied again', async () => {
    await migrate(['up', '--state-only']);
    const holder = database.connect();
    await holder`select pg_advisory_lock(1396982273, 0)`;
    const proxy = await startProxy(database.url);
    const waiting = migrate(['up'], proxy.url);
    await until('the run asks for the lock', () =>
      proxy.statements.some((text) => text.includes('try_advisory_lock')),
    );
    // Stands for the run that holds the lock: it brings in tables and history.
    for (const { sql } of (await migrate(['up', '--dry-run'])).json().data.steps) await holder.unsafe(sql);
    await holder`select pg_advisory_unlock_all()`;
    const { exitCode, json } = await waiting;
    expect([exitCode, json().data.applied]).toEqual([0, []]);
    await proxy.close();
  });

  it('that may not wait for the lock is busy', async () => {
    const holder = database.connect();
    await holder`select pg_advisory_lock(1396982273, 0)`;
    const { exitCode, json } = await migrate(['up', '--wait', '0s']);
    expect([exitCode, json().error?.code]).toEqual([5, 'locked']);
  });
});

describe('a migration that fails', () => {
  it('leaves nothing of itself, and all before it; the error has file and line', async () => {
    await database.sql`create table orders_orderlineitem (id int)`;
    const { exitCode, json } = await migrate(['up']);
    expect(exitCode).toBe(1);
    const { changed, data, error } = json();
    expect([changed, data.applied]).toEqual([true, ALL.slice(0, 4)]);
    expect(error).toMatchObject({ code: 'sql_error', sqlstate: '42P07' });
    const file = 'sql/migrations/0005_orders_orderlineitem.sql';
    const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    const line = text.split('\n').findIndex((words) => words.startsWith('create table')) + 1;
    expect(error?.message).toBe(
      `Apply migration 0005 orders_orderlineitem: ${file}:${line}: relation "orders_orderlineitem" already exists.`,
    );
    const log = await database.sql`select exit_code, changed from sensordb.run_log`;
    expect([...log]).toEqual([{ exit_code: 1, changed: true }]);
    await database.sql`drop table orders_orderlineitem`;
    const again = await migrate(['up']);
    expect([again.exitCode, again.json().data.applied]).toEqual([0, ALL.slice(4)]);
  });
});
