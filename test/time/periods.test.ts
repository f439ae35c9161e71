import { describe, expect, it } from 'vitest';
import { formatInstant, parseInstant } from '../../src/time/instant.ts';
import {
  addPeriods,
  exactSuffix,
  type Interval,
  intervalOf,
  isoWeek,
  listPeriods,
  periodCeiling,
  periodStart,
  periodSuffix,
} from '../../src/time/periods.ts';

const at = (text: string): bigint => parseInstant(text) as bigint;
const day = (instant: bigint): string => (formatInstant(instant) as string).slice(0, 10);

describe('periodStart', () => {
  it.each([
    ['2026-01-31 23:59:59.999999', '2026-01-31', '2026-01-26', '2026-01-01', '2026-01-01', '2026-01-01'],
    ['2026-02-01 00:00:00', '2026-02-01', '2026-01-26', '2026-02-01', '2026-01-01', '2026-01-01'],
    ['2026-12-31 23:59:59', '2026-12-31', '2026-12-28', '2026-12-01', '2026-10-01', '2026-01-01'],
    ['2027-01-01 00:00:01', '2027-01-01', '2026-12-28', '2027-01-01', '2027-01-01', '2027-01-01'],
    ['2024-02-29 12:00:00', '2024-02-29', '2024-02-26', '2024-02-01', '2024-01-01', '2024-01-01'],
    ['2026-03-31 00:00:00', '2026-03-31', '2026-03-30', '2026-03-01', '2026-01-01', '2026-01-01'],
    ['1969-12-31 23:59:59.999999', '1969-12-31', '1969-12-29', '1969-12-01', '1969-10-01', '1969-01-01'],
  ])('of %s', (text, ...expected) => {
    const intervals: readonly Interval[] = ['day', 'week', 'month', 'quarter', 'year'];
    expect(intervals.map((interval) => day(periodStart(at(text), interval)))).toEqual(expected);
  });
});

describe('addPeriods', () => {
  it.each([
    ['2026-01-01', 'month', 1, '2026-02-01'],
    ['2026-12-01', 'month', 1, '2027-01-01'],
    ['2026-01-01', 'month', -1, '2025-12-01'],
    ['2024-02-28', 'day', 1, '2024-02-29'],
    ['2026-02-28', 'day', 1, '2026-03-01'],
    ['2026-12-28', 'week', 1, '2027-01-04'],
    ['2026-10-01', 'quarter', 1, '2027-01-01'],
    ['9999-01-01', 'year', 0, '9999-01-01'],
    ['2026-03-28', 'day', 1, '2026-03-29'],
  ] as const)('%s and %s times %i is %s', (start, interval, count, end) => {
    expect(day(addPeriods(at(start), interval, count))).toBe(end);
  });
});

it.each([
  ['2026-03-01', 'month', '2026-03-01'],
  ['2026-03-01 00:00:00.000001', 'month', '2026-04-01'],
  ['2026-12-31 23:59:59.999999', 'year', '2027-01-01'],
] as const)('periodCeiling of %s for %s is %s', (text, interval, expected) => {
  expect(day(periodCeiling(at(text), interval))).toBe(expected);
});

describe('intervalOf', () => {
  it.each([
    ['2026-01-01', '2026-02-01', 'month'],
    ['2024-02-01', '2024-03-01', 'month'],
    ['2026-01-05', '2026-01-12', 'week'],
    ['2026-01-06', '2026-01-13', null],
    ['2026-01-01', '2026-01-02', 'day'],
    ['2026-01-01', '2026-04-01', 'quarter'],
    ['2026-02-01', '2026-05-01', null],
    ['2026-01-01', '2027-01-01', 'year'],
    ['2026-07-01', '2027-07-01', null],
    ['2026-01-01', '2026-01-31', null],
    ['2026-01-01 00:00:00.000001', '2026-02-01', null],
    ['2026-01-01 05:00:00', '2026-02-01 05:00:00', null],
  ])('from %s to %s is %s', (lower, upper, interval) => {
    expect(intervalOf({ lower: at(lower), upper: at(upper) })).toBe(interval);
  });
});

describe('ISO weeks', () => {
  it.each([
    ['2026-12-28', 2026, 53],
    ['2027-01-01', 2026, 53],
    ['2027-01-03', 2026, 53],
    ['2027-01-04', 2027, 1],
    ['2025-12-29', 2026, 1],
    ['2024-12-30', 2025, 1],
    ['2021-01-03', 2020, 53],
    ['2026-01-26', 2026, 5],
  ])('%s lies in %i, week %i', (text, year, week) => {
    expect(isoWeek(at(text))).toEqual({ year, week });
  });
});

describe('names', () => {
  it.each([
    ['2026-01-01', 'year', '_2026'],
    ['2026-10-01', 'quarter', '_2026_q4'],
    ['2026-01-01', 'month', '_2026_01'],
    ['2026-12-28', 'week', '_2026_w53'],
    ['2025-12-29', 'week', '_2026_w01'],
    ['2026-01-31', 'day', '_2026_01_31'],
    ['12026-01-01', 'month', '_12026_01'],
    ['0099-01-01', 'year', '_0099'],
  ] as const)('of %s by %s is %s', (text, interval, suffix) => {
    expect(periodSuffix(at(text), interval)).toBe(suffix);
  });

  it.each([
    ['2026-01-15', '_2026_01_15'],
    ['2026-01-15 09:30', '_2026_01_15_0930'],
    ['2026-01-15 09:30:07', '_2026_01_15_093007'],
    ['2026-01-15 00:00:00.000001', '_2026_01_15_000000000001'],
    ['2026-01-15 23:59:59.999999', '_2026_01_15_235959999999'],
  ])('of a part from %s is %s', (text, suffix) => {
    expect(exactSuffix(at(text))).toBe(suffix);
  });

  it('of a part never say the same of two instants', () => {
    const instants = [0n, 1n, 10n, 1_000_000n, 10_000_000n, 60_000_000n, 600_000_000n, 36_000_000_000n];
    expect(new Set(instants.map((after) => exactSuffix(at('2026-01-15') + after))).size).toBe(
      instants.length,
    );
  });
});

it('listPeriods lists each period once, and one more than the limit at most', () => {
  const periods = listPeriods(at('2026-01-01'), at('2027-01-01'), 'month', 100);
  expect(periods).toHaveLength(12);
  expect(periods.every(({ lower }, index) => index === 0 || lower === periods[index - 1]?.upper)).toBe(true);
  expect(listPeriods(at('2026-01-01'), at('2027-01-01'), 'day', 10)).toHaveLength(11);
});
