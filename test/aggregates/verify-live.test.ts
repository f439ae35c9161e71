import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aggregatedDatabase, DEVICE_HOURS, refresh, verify } from '../support/aggregates.ts';
import { liveDatabase, NOW } from '../support/live.ts';
import type { TestDatabase } from '../support/server.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
beforeEach(async () => {
  database = await aggregatedDatabase();
});
afterEach(() => database.drop());

const NOTHING = { dirty: 0, pending: 0, changedLeaf: 0, open: 0, retired: 0 };
const LEAF = 'sensors_sensorreading_2026_03';
const LATE =
  "insert into sensors_sensorreading (device_id, timestamp, value) values (1, '2026-03-02 05:30+00', 4)";

describe('hours that are not compared', () => {
  it('are those that changed since they were counted', async () => {
    await database.sql.unsafe(
      `${LATE}; ${LATE}; delete from sensors_sensorreading where device_id = 3 and timestamp < '2026-03-01 02:00+00'`,
    );
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: DEVICE_HOURS - 3, uncheckedHours: { ...NOTHING, dirty: 3 }, mismatchCount: 0 },
    });
    await refresh(database);
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: DEVICE_HOURS - 2, uncheckedHours: NOTHING },
    });
  });

  it('are those that are not over yet, and all that will come', async () => {
    await database.sql.unsafe(`insert into sensors_sensorreading (device_id, timestamp, value)
      values (1, '2026-03-10 12:00+00', 1), (2, '2031-01-01', 1), (3, 'infinity', 1)`);
    await refresh(database);
    await database.sql.unsafe(
      "update sensors_sensoraggregate set value_min = 0, value_max = 9 where hour >= '2026-03-10 12:00+00'",
    );
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: DEVICE_HOURS, uncheckedHours: { ...NOTHING, open: 3 } },
    });
  });

  it('are those of a leaf that was truncated behind the triggers, and those of one that was attached', async () => {
    await database.sql.unsafe(`truncate ${LEAF};
      create table aside (like sensors_sensorreading including all);
      insert into aside select 1, 1, '2026-02-02 03:00+00', 1;
      alter table sensors_sensorreading attach partition aside for values from ('2026-02-01+00') to ('2026-03-01+00')`);
    const found = await verify(database);
    expect(found).toMatchObject({
      exitCode: 0,
      data: { checkedHours: 0, uncheckedHours: { ...NOTHING, changedLeaf: DEVICE_HOURS } },
    });
    expect(found.data.uncheckedRanges).toEqual([
      { lower: '2026-02-01T00:00:00Z', upper: '2026-03-10T12:00:00Z', reason: 'changedLeaf' },
      { lower: '2026-03-10T12:00:00Z', upper: null, reason: 'open' },
    ]);
    await refresh(database);
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: 1, uncheckedHours: NOTHING },
    });
  });

  it('are those that are pending', async () => {
    await database.sql.unsafe(`insert into sensordb.aggregate_pending (source_id, lower_bound, upper_bound)
      select id, '2026-03-02+00', '2026-03-03+00' from sensordb.aggregate_source;
      update sensors_sensoraggregate set reading_count = 9 where hour = '2026-03-02 04:00+00'`);
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { checkedHours: DEVICE_HOURS - 72, uncheckedHours: { ...NOTHING, pending: 72 } },
    });
  });

  it('are those whose raw rows went with a leaf, before and after a refresh noted it', async () => {
    await database.sql.unsafe(`alter table sensors_sensorreading detach partition ${LEAF}`);
    const retired = {
      exitCode: 0,
      data: { checkedHours: 0, uncheckedHours: { ...NOTHING, retired: DEVICE_HOURS } },
    };
    expect(await verify(database)).toMatchObject(retired);
    await refresh(database);
    expect(await verify(database)).toMatchObject(retired);
  });

  it('are all before aggregates are kept at all: that is a failure', async () => {
    const fresh = await liveDatabase();
    try {
      expect(await verify(fresh)).toMatchObject({
        exitCode: 1,
        error: { code: 'not_set_up', hint: expect.stringContaining('backfill') },
      });
    } finally {
      await fresh.drop();
    }
  });
});

describe('while others are at work', () => {
  const isWaiting = async () =>
    (
      await database.sql`select from pg_locks where not granted and relation = 'sensors_sensorreading'::regclass`
    ).length > 0;
  const ASIDE = `create table aside (like sensors_sensorreading including all);
    insert into aside select 1, 1, '2026-02-02 03:00+00', 1`;

  // The snapshot is there when the table is waited for; what happens to a leaf then takes effect in it all the same.
  it.each([
    ['is truncated', `truncate ${LEAF}`, 0, { changedLeaf: DEVICE_HOURS }],
    [
      'is detached',
      `alter table sensors_sensorreading detach partition ${LEAF}`,
      0,
      { retired: DEVICE_HOURS },
    ],
    [
      'is attached',
      "alter table sensors_sensorreading attach partition aside for values from ('2026-02-01+00') to ('2026-03-01+00')",
      DEVICE_HOURS,
      { changedLeaf: 1 },
    ],
  ])('a leaf that %s after the snapshot was taken makes no mismatch', async (_, ddl, checkedHours, hours) => {
    await database.sql.unsafe(ASIDE);
    const other = database.connect();
    await other.unsafe('begin; lock table only sensors_sensorreading in access exclusive mode');
    const running = verify(database, ['--from', '2026-02-01']);
    await until(isWaiting);
    await other.unsafe(`${ddl}; commit`);
    const { exitCode, data } = await running;
    expect([exitCode, data.mismatchCount, data.checkedHours]).toEqual([0, 0, checkedHours]);
    expect(data.uncheckedHours).toEqual({ ...NOTHING, ...hours });
  });

  it('no writer and no refresh makes a mismatch', async () => {
    const stop = new AbortController();
    const write = async (seed: number) => {
      const sql = database.connect();
      for (let round = seed; !stop.signal.aborted; round += 3) {
        const at = `timestamptz '2026-03-01+00' + ${(round * 7919) % 4320} * interval '1 minute'`;
        const device = 1 + (round % 3);
        await sql.unsafe(
          `insert into sensors_sensorreading (device_id, timestamp, value) select ${device}, ${at}, ${round} / 7.0 from generate_series(1, 3)`,
        );
        await sql.unsafe(`begin; update sensors_sensorreading set value = value + 1 where device_id = ${device} and timestamp = ${at};
          delete from sensors_sensorreading where device_id = ${1 + ((round + 1) % 3)} and timestamp = ${at} + interval '15 minutes'; commit`);
      }
    };
    const refreshing = async () => {
      while (!stop.signal.aborted) {
        await refresh(database);
        await sleep(10);
      }
    };
    const others = [write(0), write(1), write(2), refreshing()];
    let [dirty, checked] = [0, 0];
    for (let round = 0; round < 12; round += 1) {
      const { exitCode, data } = await verify(database);
      expect([exitCode, data.mismatches]).toEqual([0, []]);
      dirty += data.uncheckedHours.dirty;
      checked += data.checkedHours;
    }
    stop.abort();
    await Promise.all(others);
    expect([dirty > 0, checked > 0]).toEqual([true, true]);
    await refresh(database);
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      data: { mismatches: [], uncheckedHours: NOTHING },
    });
  });

  it('a leaf that stays locked is told, with exit 5, and the others are compared', async () => {
    await database.sql.unsafe(
      `create table february partition of sensors_sensorreading for values from ('2026-02-01+00') to ('2026-03-01+00')`,
    );
    await refresh(database);
    await database.sql.unsafe(
      "update sensors_sensoraggregate set reading_count = 9 where device_id = 1 and hour = '2026-03-02+00'",
    );
    const other = database.connect();
    await other.unsafe('begin; lock table february in access exclusive mode');
    const locked = await verify(database);
    expect(locked).toMatchObject({
      exitCode: 5,
      error: { code: 'locked', sqlstate: '55P03', object: 'public.sensors_sensorreading' },
      data: { uncheckedRanges: expect.arrayContaining([expect.objectContaining({ reason: 'locked' })]) },
    });
    expect(await verify(database, ['--from', '2026-03-01'])).toMatchObject({
      exitCode: 3,
      data: { mismatchCount: 1 },
    });
    await other.unsafe('rollback');
  });

  it('it takes ACCESS SHARE alone, and only on what it reads', async () => {
    const other = database.connect();
    await other.unsafe(`begin; lock table sensors_sensorreading, sensors_sensoraggregate in exclusive mode;
      select pg_advisory_lock(1397965315, 'sensors_sensorreading'::regclass::oid::int)`);
    expect(await verify(database)).toMatchObject({ exitCode: 0, data: { checkedHours: DEVICE_HOURS } });
    await other.unsafe('rollback');
  });

  it('it leaves a line in the run log alone, which says what it came to', async () => {
    await database.sql.unsafe(
      "update sensors_sensoraggregate set reading_count = 9 where device_id = 1 and hour = '2026-03-02 05:00+00'",
    );
    expect(await verify(database, ['--from', '2026-03-02'])).toMatchObject({ exitCode: 3, changed: false });
    const [line] =
      await database.sql`select command, arguments, finished_at is not null as finished, exit_code, changed, result
      from sensordb.run_log order by id desc limit 1`;
    expect(line).toEqual({
      command: 'aggregates verify',
      arguments: { table: 'sensors_sensorreading', from: '2026-03-02' },
      finished: true,
      exit_code: 3,
      changed: false,
      result: {
        checkedHours: expect.any(Number),
        mismatchCount: 1,
        wrong: [{ from: '2026-03-02T05:00:00Z', to: '2026-03-02T06:00:00Z' }],
      },
    });
  });

  it('it leaves no trace in a session that may only read, and runs there', async () => {
    const before = await database.sql`select count(*) from sensordb.run_log`;
    await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only to on`);
    expect(await verify(database)).toMatchObject({ exitCode: 0, changed: false });
    expect(await database.sql`select count(*) from sensordb.run_log`).toEqual(before);
  });
});

it(`knows what was open at ${NOW} by its own hour`, async () => {
  const { data } = await verify(database, ['--from', '2026-03-10T11:00:00Z']);
  expect(data.uncheckedRanges).toEqual([{ lower: '2026-03-10T12:00:00Z', upper: null, reason: 'open' }]);
});
