import { describe, expect, it } from 'vitest';
import {
  BEGINNING,
  END,
  formatBound,
  formatInstant,
  formatInstantShort,
  fromCivil,
  fromDate,
  parseInstant,
  toDate,
} from '../../src/time/instant.ts';

describe('parseInstant', () => {
  it.each([
    ['2026-01-01', '2026-01-01T00:00:00Z'],
    ['2026-01-01 00:00:00+00', '2026-01-01T00:00:00Z'],
    ['2025-12-31 23:59:59.999999+00', '2025-12-31T23:59:59.999999Z'],
    ['2026-01-01 00:00:00.000001', '2026-01-01T00:00:00.000001Z'],
    ['2026-01-01 00:00:00.1+00', '2026-01-01T00:00:00.1Z'],
    ['2026-01-01T02:00:00+05:45', '2025-12-31T20:15:00Z'],
    ['2026-01-01 02:00:00-03:30', '2026-01-01T05:30:00Z'],
    ['1880-01-01 00:00:00+00:53:28', '1879-12-31T23:06:32Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['2000-02-29', '2000-02-29T00:00:00Z'],
    ['1969-12-31 23:59:59.999999+00', '1969-12-31T23:59:59.999999Z'],
    ['0044-03-15 BC', '-000043-03-15T00:00:00Z'],
    ['0001-12-31 23:59:59 BC', '0000-12-31T23:59:59Z'],
    ['0099-01-01', '0099-01-01T00:00:00Z'],
    ['12026-01-01 00:00:00+00', '+012026-01-01T00:00:00Z'],
    ['2026-01-01 24:00:00', '2026-01-02T00:00:00Z'],
  ])('reads %s as %s', (text, iso) => {
    expect(formatInstant(parseInstant(text) as bigint)).toBe(iso);
  });

  it.each([
    ['infinity', END],
    ['-infinity', BEGINNING],
    ['294276-12-31 23:59:59.999999+00', END],
  ])('reads %s as an end without a bound', (text, instant) => {
    expect(parseInstant(text)).toBe(instant);
    expect(formatInstant(instant)).toBeNull();
  });

  it.each([
    '2026-02-29',
    '1900-02-29',
    '2026-13-01',
    '2026-00-01',
    '2026-04-31',
    '2026-01-01 25:00',
    '26-01-01',
    '',
    'x',
  ])('refuses %j', (text) => {
    expect(parseInstant(text)).toBeNull();
  });
});

describe('formatBound', () => {
  it.each([
    ['2026-01-01', 'timestamptz', '2026-01-01 00:00:00+00'],
    ['2026-01-01', 'timestamp', '2026-01-01 00:00:00'],
    ['2026-01-01', 'date', '2026-01-01'],
    ['2026-03-10 06:30:00.000001', 'timestamptz', '2026-03-10 06:30:00.000001+00'],
    ['0044-03-15 BC', 'timestamptz', '0044-03-15 00:00:00+00 BC'],
    ['0044-03-15 BC', 'date', '0044-03-15 BC'],
    ['12026-01-01', 'timestamp', '12026-01-01 00:00:00'],
  ] as const)('writes %s for %s as %s', (text, keyType, bound) => {
    expect(formatBound(parseInstant(text) as bigint, keyType)).toBe(bound);
  });
});

describe('instants and dates', () => {
  it.each([-1n, 0n, 1n, 999n, 1000n, -999n, -1000n, -1001n])(
    '%s µs round down to the millisecond',
    (instant) => {
      const back = fromDate(toDate(instant));
      expect(back <= instant && instant - back < 1000n).toBe(true);
    },
  );

  it('months overflow into other years, and the years 0 to 99 stay what they are', () => {
    expect(fromCivil(2026, 13, 1)).toBe(fromCivil(2027, 1, 1));
    expect(fromCivil(2026, 0, 1)).toBe(fromCivil(2025, 12, 1));
    expect(formatInstant(fromCivil(99, 1, 1))).toBe('0099-01-01T00:00:00Z');
  });

  it('are short for people at midnight alone', () => {
    expect(formatInstantShort(fromCivil(2026, 1, 1))).toBe('2026-01-01');
    expect(formatInstantShort(fromCivil(2026, 1, 1) + 1n)).toBe('2026-01-01T00:00:00.000001Z');
    expect([formatInstantShort(END), formatInstantShort(BEGINNING)]).toEqual(['infinity', '-infinity']);
  });
});
