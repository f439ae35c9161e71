import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aggregatedDatabase, DEVICE_HOURS, refresh, verify } from '../support/aggregates.ts';
import { NOW } from '../support/live.ts';
import { runText } from '../support/partitions.ts';
import type { TestDatabase } from '../support/server.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await aggregatedDatabase();
});
afterAll(() => database.drop());

/** Changes the aggregates behind sensordb's back, looks, and puts them right again. */
async function broken(ddl: string, look: () => Promise<void>): Promise<void> {
  await database.sql.unsafe(`create table kept as select * from sensors_sensoraggregate`);
  try {
    await database.sql.unsafe(ddl);
    await look();
  } finally {
    await database.sql.unsafe(`delete from sensors_sensoraggregate;
      insert into sensors_sensoraggregate (id, device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx,
                                           first_at, first_value, last_at, last_value, value_sketch)
      select id, device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx,
             first_at, first_value, last_at, last_value, value_sketch from kept;
      drop table kept`);
  }
}

const ROW = "device_id = 2 and hour = '2026-03-02 05:00+00'";

describe('verify', () => {
  it('finds nothing where all is right', async () => {
    expect(await verify(database)).toMatchObject({
      exitCode: 0,
      ok: true,
      changed: false,
      command: 'aggregates verify',
      data: {
        table: { schema: 'public', name: 'sensors_sensorreading' },
        checkedHours: DEVICE_HOURS,
        readings: DEVICE_HOURS * 4,
        uncheckedHours: { dirty: 0, pending: 0, changedLeaf: 0, open: 0, retired: 0 },
        uncheckedRanges: [{ lower: '2026-03-10T12:00:00Z', upper: null, reason: 'open' }],
        mismatchCount: 0,
        mismatches: [],
        sample: null,
      },
      error: null,
    });
  });

  it.each([
    ['readingCount', 'reading_count = 5'],
    ['valueSum', 'value_sum = value_sum + 0.001'],
    ['valueMin', 'value_min = value_min - 1e-12'],
    ['valueMax', 'value_max = value_max + 1e-12'],
    ['valueSxx', 'value_sxx = value_sxx * 1.001'],
    ['firstAt', "first_at = first_at + interval '1 microsecond'"],
    ['firstValue', 'first_value = first_value + 1e-12'],
    ['lastAt', "last_at = last_at - interval '1 microsecond'"],
    ['lastValue', 'last_value = last_value + 1e-12'],
    ['valueSketch', 'value_sketch[1] = value_sketch[1] + 1'],
    ['valueSketch', 'value_sketch = value_sketch[2:]'],
    ['valueSketch', "value_sketch = '{}'"],
    ['valueSketch', 'value_sketch = value_sketch || 7'],
    ['valueSketch', 'value_sketch = array[41 * 16384, null]'],
    ['valueSum', "value_sum = 'NaN'"],
    ['valueSum', "value_sum = 'Infinity'"],
    ['valueSxx', "value_sxx = 'NaN'"],
  ])('finds %s that is wrong (%s)', async (column, change) => {
    await broken(`update sensors_sensoraggregate set ${change} where ${ROW}`, async () => {
      const result = await verify(database);
      expect(result).toMatchObject({
        exitCode: 3,
        ok: false,
        error: null,
        data: {
          checkedHours: DEVICE_HOURS,
          mismatchCount: 1,
          mismatches: [
            {
              deviceId: 2,
              hour: '2026-03-02T05:00:00Z',
              kind: 'wrong',
              differs: [column],
              stored: { firstAt: expect.any(String) },
              counted: { readingCount: 4, firstAt: '2026-03-02T05:00:00Z', lastAt: '2026-03-02T05:45:00Z' },
            },
          ],
        },
      });
      const [{ stored, counted }] = result.data.mismatches;
      expect(stored[column]).not.toEqual(counted[column]);
    });
  });

  it('finds rows that are missing, and rows that should not be there', async () => {
    const extra = `insert into sensors_sensoraggregate (device_id, hour, reading_count, value_sum, value_min, value_max, value_sxx,
        first_at, first_value, last_at, last_value, value_sketch)
      values (77, '2026-02-03 04:00+00', 1, 5, 5, 5, 0, '2026-02-03 04:10+00', 5, '2026-02-03 04:10+00', 5, '{656670721}')`;
    await broken(`delete from sensors_sensoraggregate where ${ROW}; ${extra}`, async () => {
      const { exitCode, data } = await verify(database);
      expect([exitCode, data.checkedHours, data.mismatchCount]).toEqual([3, DEVICE_HOURS + 1, 2]);
      expect(data.mismatches).toMatchObject([
        {
          deviceId: 77,
          hour: '2026-02-03T04:00:00Z',
          kind: 'extra',
          stored: { readingCount: 1, valueSum: 5 },
          counted: null,
        },
        {
          deviceId: 2,
          hour: '2026-03-02T05:00:00Z',
          kind: 'missing',
          stored: null,
          counted: { readingCount: 4 },
        },
      ]);
    });
  });

  it('looks only between --from and --to, whole hours', async () => {
    await broken(
      `update sensors_sensoraggregate set reading_count = 9 where device_id = 1 and hour in
        ('2026-03-01 23:00+00', '2026-03-02 00:00+00', '2026-03-02 23:00+00', '2026-03-03 00:00+00')`,
      async () => {
        const { data } = await verify(database, ['--from', '2026-03-02', '--to', '2026-03-03']);
        expect(data.checkedHours).toBe(3 * 24);
        expect(data.mismatches.map(({ hour }: { hour: string }) => hour)).toEqual([
          '2026-03-02T00:00:00Z',
          '2026-03-02T23:00:00Z',
        ]);
        expect(data.uncheckedRanges).toEqual([]);
      },
    );
  });

  it('shows a table on a terminal, cut short, and every mismatch as a line off it', async () => {
    await broken(
      "update sensors_sensoraggregate set reading_count = reading_count + 1 where hour >= '2026-03-03 12:00+00'",
      async () => {
        const words = ['aggregates', 'verify'];
        const shown = await runText(database, words, { now: NOW, terminal: 120, env: { NO_COLOR: '1' } });
        expect(shown.exitCode).toBe(3);
        const lines = shown.stdout.split('\n');
        expect(lines.slice(0, 5)).toEqual([
          'public.sensors_sensoraggregate  216 device-hours compared with 864 readings',
          '',
          'device  hour                  aggregate  column         stored  counted',
          '     1  2026-03-03T12:00:00Z  wrong      reading_count       5        4',
          '     2  2026-03-03T12:00:00Z  wrong      reading_count       5        4',
        ]);
        expect(lines.slice(-4)).toEqual([
          '… and 16 more: --json lists up to 10,000.',
          '',
          '36 mismatches.',
          '',
        ]);
        const piped = await runText(database, words, { now: NOW });
        const rows = piped.stdout.split('\n').map((line) => line.split('\t'));
        expect(rows.filter(([what]) => what === 'mismatch')).toHaveLength(36);
        expect(rows[0]).toEqual([
          'mismatch',
          'wrong',
          '1',
          '2026-03-03T12:00:00Z',
          'reading_count',
          '5',
          '4',
        ]);
        expect(rows.slice(36)).toEqual([
          ['checked_hours', '216'],
          ['unchecked_hours', 'dirty', '0'],
          ['unchecked_hours', 'pending', '0'],
          ['unchecked_hours', 'changedLeaf', '0'],
          ['unchecked_hours', 'open', '0'],
          ['unchecked_hours', 'retired', '0'],
          ['unchecked_range', 'open', '2026-03-10T12:00:00Z', ''],
          ['mismatches', '36'],
          [''],
        ]);
      },
    );
  });

  it('is silent with --quiet while all is right', async () => {
    const quiet = await runText(database, ['aggregates', 'verify', '--quiet'], { now: NOW });
    expect(quiet).toMatchObject({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('writes nothing, and takes nothing from a refresh after it', async () => {
    const result = await refresh(database);
    expect(result.data).toMatchObject({ written: 0, removed: 0 });
  });
});
