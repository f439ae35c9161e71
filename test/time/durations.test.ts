import { describe, expect, it } from 'vitest';
import { parseDuration, parseUserInstant } from '../../src/time/durations.ts';
import { formatInstant } from '../../src/time/instant.ts';

describe('parseDuration', () => {
  it.each([
    ['0ms', 0],
    ['200ms', 200],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5min', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    [' 1s ', 1000],
    ['2147483647ms', 2_147_483_647],
  ])('reads %s as %i ms', (text, milliseconds) => {
    expect(parseDuration(text, '--wait')).toBe(milliseconds);
  });

  it.each(['5', '', 's', '-1s', '1m', '1 s', '1e3s', '25d', '2147483648ms', 'forever', 'NaNs'])(
    'refuses %j',
    (text) => {
      expect(() => parseDuration(text, '--wait')).toThrow(
        `--wait ${JSON.stringify(text)} is not a duration.`,
      );
    },
  );
});

describe('parseUserInstant', () => {
  it.each([
    ['2027', '2027-01-01T00:00:00Z'],
    ['2027-06', '2027-06-01T00:00:00Z'],
    ['2027-06-30', '2027-06-30T00:00:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['2027-06-30T06:00:00Z', '2027-06-30T06:00:00Z'],
    ['2027-06-30 06:00', '2027-06-30T06:00:00Z'],
    ['2027-01-01T00:00:00+05:45', '2026-12-31T18:15:00Z'],
    ['0001-01-01', '0001-01-01T00:00:00Z'],
    ['9999-12-31', '9999-12-31T00:00:00Z'],
  ])('reads %s as %s', (text, iso) => {
    expect(formatInstant(parseUserInstant(text, '--until'))).toBe(iso);
  });

  it.each([
    '2026-02-30',
    '2026-13',
    '26-01-01',
    'now',
    'infinity',
    '-infinity',
    '0000',
    '10000-01-01',
    '0044-03-15 BC',
    '',
  ])('refuses %j', (text) => {
    expect(() => parseUserInstant(text, '--until')).toThrow('is not a date');
  });
});
