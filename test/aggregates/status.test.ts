import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aggregatedDatabase, refresh, status } from '../support/aggregates.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import { runText } from '../support/partitions.ts';
import { connectTo, createDatabase, startServer, type TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await aggregatedDatabase();
});
afterEach(() => database.drop());

const LEAF = 'sensors_sensorreading_2026_03';
const LATE =
  "insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-02 05:30+00', 4)";
const CLEAN = '2026-03-10T12:00:00Z';

describe('status', () => {
  it('of aggregates that are up to date has the fixed keys and exits 0', async () => {
    const result = await status(database, [], '2026-03-10T12:34:56Z');
    expect(result).toEqual({
      exitCode: 0,
      schemaVersion: 1,
      command: 'aggregates status',
      ok: true,
      changed: false,
      data: {
        table: { schema: 'public', name: 'sensors_sensorreading' },
        setUp: true,
        cleanUntil: CLEAN,
        lagSeconds: 34 * 60 + 56,
        dirtyHours: 0,
        pendingHours: 0,
        pending: [],
        gate: CLEAN,
        firstHour: '2026-03-01T00:00:00Z',
        lastHour: '2026-03-03T23:00:00Z',
        retired: [],
        skippedHours: 0,
        lastRefresh: {
          startedAt: NOW,
          finishedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/),
          exitCode: 0,
          state: 'finished',
        },
        lastBackfill: null,
        retentionRefused: [],
        findings: [],
      },
      warnings: [expect.objectContaining({ code: 'clock_skew' })],
      error: null,
    });
  });

  it('counts each device-hour that changed once, and is clean until the first of them', async () => {
    await database.sql.unsafe(
      `${LATE}; ${LATE}; delete from sensors_sensorreading where device_id = 2 and timestamp < '2026-03-01 02:00+00'`,
    );
    expect(await status(database)).toMatchObject({
      exitCode: 0,
      data: { dirtyHours: 3, cleanUntil: '2026-03-01T00:00:00Z', lagSeconds: 9.5 * 86_400, gate: CLEAN },
    });
    await refresh(database);
    expect((await status(database)).data).toMatchObject({ dirtyHours: 0, cleanUntil: CLEAN, lagSeconds: 0 });
  });

  it('is clean until the first hour that is pending, or whose leaf looks otherwise than it did', async () => {
    await database.sql.unsafe(`insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
      select id, '2026-02-02+00', '2026-02-03+00' from sensordb.aggregate_source`);
    expect((await status(database)).data).toMatchObject({
      cleanUntil: '2026-02-02T00:00:00Z',
      pendingHours: 24,
      pending: [{ lower: '2026-02-02T00:00:00Z', upper: '2026-02-03T00:00:00Z', reason: 'pending' }],
    });
    await refresh(database);
    await database.sql.unsafe(`truncate ${LEAF}`);
    const { data } = await status(database);
    expect(data).toMatchObject({
      cleanUntil: '2026-03-01T00:00:00Z',
      pendingHours: 9 * 24 + 12,
      pending: [{ lower: '2026-03-01T00:00:00Z', upper: CLEAN, reason: 'changedLeaf' }],
    });
    expect(data.retentionRefused[0]).toMatchObject({ name: LEAF, reasons: ['changedLeaf', 'open'] });
  });

  it('names the leaves that retention would be refused, and why, in the order of their bounds', async () => {
    await database.sql.unsafe(`create table zulu partition of sensors_sensorreading for values from ('2026-01-01+00') to ('2026-02-01+00');
      create table alpha partition of sensors_sensorreading for values from ('2026-02-01+00') to ('2026-03-01+00');
      create table later partition of sensors_sensorreading for values from ('2026-04-01+00') to ('2026-05-01+00')`);
    await refresh(database);
    const names = async () =>
      (await status(database)).data.retentionRefused.map(
        ({ name, reasons }: { name: string; reasons: string[] }) => [name, ...reasons],
      );
    expect(await names()).toEqual([]);
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-02-02+00', 1), (1, '1999-01-01', 1);
      insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
      select id, '2026-01-31 23:00+00', '2026-02-01+00' from sensordb.aggregate_source`);
    expect(await names()).toEqual([
      ['zulu', 'pending'],
      ['alpha', 'dirty'],
      ['sensors_sensorreading_default', 'dirty', 'open'],
    ]);
  });

  it('names a leaf that time has gone past since the last refresh', async () => {
    const { data } = await status(database, [], '2026-04-01T00:00:00Z');
    expect(data.retentionRefused).toEqual([
      { name: LEAF, lower: '2026-03-01T00:00:00Z', upper: '2026-04-01T00:00:00Z', reasons: ['open'] },
    ]);
  });

  it('tells what is retired, and which device-hours changed after that', async () => {
    await database.sql.unsafe(`alter table sensors_sensorreading detach partition ${LEAF}; ${LATE}`);
    const retired = [{ lower: '2026-03-01T00:00:00Z', upper: '2026-04-01T00:00:00Z' }];
    const expected = { retired, skippedHours: 1, dirtyHours: 0, cleanUntil: CLEAN, pendingHours: 0 };
    expect(await status(database)).toMatchObject({ exitCode: 0, data: expected });
    await refresh(database);
    expect(await status(database)).toMatchObject({ exitCode: 0, data: expected });
  });

  it('of a table that was never set up exits 3 and says how, before and after sensordb made its schema', async () => {
    const fresh = await liveDatabase();
    try {
      const expected = {
        exitCode: 3,
        ok: false,
        error: null,
        data: {
          setUp: false,
          cleanUntil: null,
          dirtyHours: null,
          lagSeconds: null,
          findings: [{ check: 'not_set_up', fix: ['sensordb aggregates backfill'] }],
        },
      };
      expect(await status(fresh)).toMatchObject(expected);
      await runText(fresh, ['migrate', 'up', '--state-only']);
      expect(await status(fresh)).toMatchObject(expected);
      expect(await fresh.sql`select from pg_trigger where tgname like 'sensordb%'`).toHaveLength(0);
    } finally {
      await fresh.drop();
    }
  });

  it('is a finding while history is still to be counted from its beginning on', async () => {
    await database.sql.unsafe(`insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
      select id, '-infinity', '2026-03-01+00' from sensordb.aggregate_source`);
    expect(await status(database)).toMatchObject({
      exitCode: 3,
      data: {
        cleanUntil: null,
        lagSeconds: null,
        pendingHours: null,
        findings: [{ check: 'nothing_clean' }],
      },
    });
  });
});

describe('--max-lag', () => {
  it.each([
    ['35min', 0],
    ['34min', 3],
    ['0s', 3],
  ])('%s of a lag of 34 min 56 s exits %i', async (maxLag, exitCode) => {
    const result = await status(database, ['--max-lag', maxLag], '2026-03-10T12:34:56Z');
    expect([result.exitCode, result.error]).toEqual([exitCode, null]);
    expect(result.data.findings.map(({ check }: { check: string }) => check)).toEqual(
      exitCode === 0 ? [] : ['lag'],
    );
  });

  it('takes a lag that is unknown for too long', async () => {
    await database.sql.unsafe(`insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
      select id, '-infinity', '2026-03-01+00' from sensordb.aggregate_source`);
    const { data } = await status(database, ['--max-lag', '24d']);
    expect(data.findings.map(({ check }: { check: string }) => check)).toEqual(['nothing_clean', 'lag']);
  });

  it.each(['soon', '5', '-1h'])('%s is a usage error before anything is connected', async (text) => {
    const result = await status({ url: 'postgresql://u@127.0.0.1:1/d' }, [`--max-lag=${text}`]);
    expect(result).toMatchObject({ exitCode: 2, error: { code: 'bad_duration', hint: expect.any(String) } });
  });
});

describe('runs', () => {
  it('that ended, are at work, or were killed are told apart', async () => {
    const { sql } = database;
    const [source] = await sql`select 'sensors_sensorreading'::regclass::oid::int as oid`;
    await sql`insert into sensordb.run_log (command, table_schema, table_name, arguments, started_at, tool_version)
      values ('aggregates backfill', 'public', 'sensors_sensorreading', '{}', '2026-03-10T11:00:00Z', '1')`;
    const killed = { startedAt: '2026-03-10T11:00:00Z', finishedAt: null, exitCode: null, state: 'killed' };
    expect((await status(database)).data).toMatchObject({
      lastBackfill: killed,
      lastRefresh: { state: 'finished', exitCode: 0 },
    });
    const holder = database.connect();
    await holder`select pg_advisory_lock(${0x53444203}, ${source?.oid})`;
    expect((await status(database)).data.lastBackfill).toMatchObject({ state: 'running' });
    await sql`insert into sensordb.run_log (command, table_schema, table_name, arguments, started_at, tool_version)
      values ('aggregates refresh', 'public', 'sensors_sensorreading', '{}', '2026-03-10T11:30:00Z', '1')`;
    expect((await status(database)).data).toMatchObject({
      lastBackfill: { state: 'killed' },
      lastRefresh: { state: 'running' },
    });
  });
});

describe('it waits for nobody', () => {
  it.each([
    ['a leaf', `lock table ${LEAF} in access exclusive mode`, true],
    ['the table', 'lock table sensors_sensorreading in access exclusive mode', true],
    ['the aggregates', 'lock table sensors_sensoraggregate in access exclusive mode', false],
  ])('who locked %s', async (_, ddl, isRead) => {
    const other = database.connect();
    await other.unsafe(`begin; ${ddl}`);
    const result = await status(database);
    expect(result).toMatchObject({
      exitCode: 0,
      data: { cleanUntil: CLEAN, firstHour: isRead ? '2026-03-01T00:00:00Z' : null },
    });
    expect(result.warnings.map(({ code }) => code).includes('coverage_not_read')).toBe(!isRead);
    await other.unsafe('rollback');
  });
});

it('sends as many statements for 500 leaves as for two, and writes nothing', async () => {
  const { readFile } = await import('node:fs/promises');
  const server = await startServer({ settings: { log_statement: 'all', max_locks_per_transaction: '1000' } });
  const many = await aggregatedDatabase(server.url);
  try {
    const sent = async (): Promise<readonly string[]> => {
      const before = (await readFile(server.logFile, 'utf8')).length;
      expect((await status(many)).exitCode).toBe(0);
      const log = (await readFile(server.logFile, 'utf8')).slice(before);
      return log.split('\n').filter((line) => /LOG: +(statement|execute)/.test(line));
    };
    const few = await sent();
    await many.sql.unsafe(`do $$ begin for i in 1..500 loop execute format(
      'create table l%s partition of sensors_sensorreading for values from (%L) to (%L)', i,
      timestamptz '2027-01-01+00' + i * interval '1 day', timestamptz '2027-01-01+00' + (i + 1) * interval '1 day');
      end loop; end $$`);
    const lots = await sent();
    expect(lots).toHaveLength(few.length);
    expect(few.length).toBeGreaterThan(5);
    expect(lots.filter((line) => /insert into|update |delete from/i.test(line))).toEqual([]);
  } finally {
    await many.drop();
    await server.stop();
  }
});

it('is told in lines on a terminal, and tab-separated off it', async () => {
  await database.sql.unsafe(`create table january partition of sensors_sensorreading for values from ('2026-01-01+00') to ('2026-02-01+00');
    insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-01-05+00', 1)`);
  await refresh(database);
  await database.sql.unsafe(`drop table january; ${LATE};
    insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
    select id, '2026-02-02+00', '2026-02-03+00' from sensordb.aggregate_source;
    update sensordb.run_log set finished_at = '2026-03-10 12:00:01+00'`);
  const words = ['aggregates', 'status', '--max-lag', '1h'];
  const shown = await runText(database, words, { now: NOW, terminal: 140, env: { NO_COLOR: '1' } });
  expect(shown.stdout).toMatchInlineSnapshot(`
    "public.sensors_sensorreading  hourly aggregates in public.sensors_sensoraggregate

    Clean until   2026-02-02, 36 d 12 h ago
    To count      1 device-hour that changed; whole hours from 2026-02-02 to 2026-02-03 (24 hours)
    Stored        hours from 2026-01-05T00:00:00Z to 2026-03-03T23:00:00Z
    Retired       2026-01-01 to 2026-02-01: their leaves have gone, their aggregates stand
    Last refresh  2026-03-10T12:00:01Z, exit 0
    Retention     would be refused for sensors_sensorreading_2026_03 (dirty, open), sensors_sensorreading_default (pending, open)
    warning: The aggregates lag by 3,153,600 s, clean until 2026-02-02: more than 3,600 s.
      sensordb aggregates refresh
    "
  `);
  const piped = await runText(database, words, { now: NOW });
  expect(piped.stdout.split('\n').map((line) => line.split('\t'))).toMatchInlineSnapshot(`
    [
      [
        "set_up",
        "yes",
      ],
      [
        "clean_until",
        "2026-02-02T00:00:00Z",
      ],
      [
        "lag_seconds",
        "3153600",
      ],
      [
        "dirty_hours",
        "1",
      ],
      [
        "pending_hours",
        "24",
      ],
      [
        "pending",
        "pending",
        "2026-02-02T00:00:00Z",
        "2026-02-03T00:00:00Z",
      ],
      [
        "gate",
        "2026-03-10T12:00:00Z",
      ],
      [
        "stored",
        "2026-01-05T00:00:00Z",
        "2026-03-03T23:00:00Z",
      ],
      [
        "retired",
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
      ],
      [
        "skipped_hours",
        "0",
      ],
      [
        "run",
        "aggregates refresh",
        "finished",
        "2026-03-10T12:00:00Z",
        "2026-03-10T12:00:01Z",
        "0",
      ],
      [
        "retention_refused",
        "sensors_sensorreading_2026_03",
        "dirty,open",
      ],
      [
        "retention_refused",
        "sensors_sensorreading_default",
        "pending,open",
      ],
      [
        "finding",
        "lag",
        "warning",
        "public.sensors_sensorreading",
        "The aggregates lag by 3,153,600 s, clean until 2026-02-02: more than 3,600 s.",
      ],
      [
        "",
      ],
    ]
  `);
  expect([shown.exitCode, piped.exitCode]).toEqual([3, 3]);
});

it('tells a table that holds no readings from one that does', async () => {
  const other = await createDatabase();
  const sql = connectTo(other.url);
  await sql.unsafe('create table t (at timestamptz not null) partition by range (at)');
  await sql.end();
  expect(await status(other, ['-t', 't'])).toMatchObject({ exitCode: 2, error: { code: 'not_readings' } });
  await other.drop();
});
