import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runJson } from '../support/partitions.ts';
import { startProxy } from '../support/proxy.ts';
import { createDatabase, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  // Above 8 MB, and longer to scan than the millisecond that is allowed below.
  await database.sql.unsafe(`create table t (id int, at timestamptz, v text) partition by range (at);
    create table t_2026_02 partition of t for values from ('2026-02-01+00') to ('2026-03-01+00');
    create table t_default partition of t default;
    insert into t select g, '2030-09-01+00', repeat('x', 100) from generate_series(1, 80000) g`);
});
afterAll(() => database.drop());

const SHORT = ['-t', 't', '--lock-timeout', '1ms', '--wait', '10s'];
const ensure = (words: readonly string[], url = database.url) =>
  runJson({ url }, ['partitions', 'ensure', ...SHORT, ...words]);
const drain = (words: readonly string[], url = database.url) =>
  runJson({ url }, ['partitions', 'drain', ...SHORT, ...words]);

const guards = () =>
  database.sql`select conname, convalidated from pg_constraint where conrelid = 't_default'::regclass and contype = 'c'`;

describe('a DEFAULT whose scan takes longer than allowed', () => {
  it('is a conflict for ensure and drain', async () => {
    const { exitCode, changed, data } = await ensure(['--months', '0']);
    expect({ exitCode, changed }).toEqual({ exitCode: 3, changed: false });
    expect(data.conflicts).toMatchObject([{ reason: 'default_too_large', lower: '2026-03-01T00:00:00Z' }]);
    expect(data.conflicts[0].message).toMatch(/its 80000 rows took \d+ ms, and 1 ms are allowed/);
    expect(data.conflicts[0].hint).toContain('--guard-default');
    const drained = await drain(['--from', '2030-09']);
    expect(drained).toMatchObject({ exitCode: 3, data: { conflicts: [{ reason: 'default_too_large' }] } });
  });

  it('is none when it may take so long', async () => {
    const result = await runJson(database, [
      'partitions',
      'ensure',
      '-t',
      't',
      '--months',
      '0',
      '--lock-timeout',
      '1min',
      '-n',
    ]);
    expect(result).toMatchObject({ exitCode: 0, data: { created: ['t_2026_03'], conflicts: [] } });
    expect(result.data.steps.some(({ sql }: { sql: string }) => sql.includes('sensordb_guard'))).toBe(false);
  });

  it('is not scanned by ATTACH under a guard', async () => {
    const { data } = await ensure(['--months', '0', '--guard-default', '--dry-run']);
    const other = database.connect();
    const scans = async () =>
      (await other`select pg_stat_get_xact_numscans('t_default'::regclass)::int as n`)[0]?.n as number;
    await other.unsafe('begin');
    const seen: Record<string, number> = {};
    for (const { sql } of data.steps as { sql: string }[]) {
      const before = await scans();
      await other.unsafe(sql);
      const [kind] = /validate|attach/.exec(sql) ?? [];
      if (kind !== undefined) seen[kind] = (await scans()) - before;
    }
    await other.unsafe('rollback');
    expect(seen).toEqual({ validate: 1, attach: 0 });
  });

  it('refuses rows of the guarded period alone, until its leaf is attached', async () => {
    const other = database.connect();
    const refused: unknown[] = [];
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (!text.includes('validate constraint')) return;
        await other`insert into t values (1, '2026-03-05+00')`.catch(({ code }) => refused.push(code));
        await other`insert into t values (1, '2026-06-05+00')`;
        await other`insert into t values (1, '2026-02-05+00')`;
      },
    });
    const result = await ensure(['--months', '0', '--guard-default'], proxy.url);
    await proxy.close();
    expect(result).toMatchObject({ exitCode: 0, data: { created: ['t_2026_03'] } });
    expect(result.warnings).toEqual(
      expect.arrayContaining([{ code: 'default_guarded', message: expect.stringContaining('t_2026_03') }]),
    );
    expect(refused).toEqual(['23514']);
    expect(await guards()).toHaveLength(0);
    await database.sql`insert into t values (1, '2026-03-05+00')`;
  });

  it('that holds rows of the period is a conflict, and keeps no guard', async () => {
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (text.includes('add constraint sensordb_guard'))
          await database.sql`insert into t values (7, '2026-05-05+00')`;
      },
    });
    const result = await ensure(['--from', '2026-05', '--until', '2026-06', '--guard-default'], proxy.url);
    await proxy.close();
    expect(result).toMatchObject({
      exitCode: 3,
      data: { conflicts: [{ reason: 'rows_in_default', rows: 1 }] },
    });
    expect(await guards()).toHaveLength(0);
  });

  it('is drained under a guard, beside writers of other periods', async () => {
    const other = database.connect();
    let running = true;
    const writer = (async () => {
      while (running) await other`insert into t values (8, '2027-05-05+00')`;
    })();
    const result = await drain(['--until', '2026-06', '--guard-default']);
    running = false;
    await writer;
    expect(result).toMatchObject({ exitCode: 0, data: { drained: [{ name: 't_2026_05', rows: 1 }] } });
    expect(result.warnings.map(({ code }) => code)).toContain('default_guarded');
    expect(await guards()).toHaveLength(0);
  });
});

describe('a guard that cannot be removed', () => {
  it.each([
    ['ensure', 'validate constraint', ['--from', '2026-07', '--until', '2026-09'], 't_2026_07'],
    ['drain', 'as removed', ['--from', '2027-05', '--until', '2027-06'], 't_2027_05'],
  ])('is told of by %s, with what removes it', async (verb, when, words, name) => {
    const reader = database.connect();
    await database.sql`insert into t values (8, '2027-05-05+00')`;
    let isHeld = false;
    const proxy = await startProxy(database.url, {
      before: async ({ text }) => {
        if (isHeld || !text.includes(when)) return;
        isHeld = true;
        await reader.unsafe('begin; select from t_default limit 1');
      },
    });
    const result = await runJson(proxy, [
      'partitions',
      verb,
      '-t',
      't',
      '--guard-default',
      '--lock-timeout',
      '1ms',
      '--wait',
      '100ms',
      ...words,
    ]);
    expect(isHeld).toBe(true);
    expect(await guards()).toHaveLength(1);
    await reader.unsafe('rollback');
    await proxy.close();
    const removal = 'ALTER TABLE public.t_default DROP CONSTRAINT IF EXISTS sensordb_guard';
    expect(result).toMatchObject({ exitCode: 5, error: { hint: expect.stringContaining(removal) } });
    const told = (code: string) => result.warnings.find((one) => one.code === code)?.message;
    expect(told('guard_left')).toContain(removal);
    expect(told('default_guarded')).toMatch(new RegExp(` of ${name} while`));
    await database.sql.unsafe(removal);
  });
});

describe('a guard that a killed run has left', () => {
  it.each([
    ['ensure with nothing else to do', () => ensure(['--from', '2026-02', '--until', '2026-03'])],
    ['drain with nothing else to do', () => drain(['--until', '2020'])],
  ])('is removed by %s', async (_, run) => {
    await database.sql`alter table t_default add constraint sensordb_guard check (at < '2026-08-01') not valid`;
    expect(await run()).toMatchObject({ exitCode: 0 });
    expect(await guards()).toHaveLength(0);
  });
});
