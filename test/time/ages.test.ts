import { describe, expect, it } from 'vitest';
import { after, before, parseAge } from '../../src/time/ages.ts';
import { formatInstant } from '../../src/time/instant.ts';
import { at } from '../support/leaves.ts';

describe('an age', () => {
  it.each([
    ['12mo', { count: 12, unit: 'month' }],
    ['90d', { count: 90, unit: 'day' }],
    ['8w', { count: 8, unit: 'week' }],
    [' 2y ', { count: 2, unit: 'year' }],
  ])('is read from %s', (text, age) => {
    expect(parseAge(text, '--older-than')).toEqual(age);
  });

  it.each(['10', '12m', '1h', '', '0d', '-1d', '1.5y', '1 mo', '99999d'])('is not read from "%s"', (text) => {
    expect(() => parseAge(text, '--older-than')).toThrow(/is not an age/);
  });

  it.each([
    ['2026-03-31T10:00:00Z', '1mo', '2026-02-28T10:00:00Z'],
    ['2024-03-31T10:00:00Z', '1mo', '2024-02-29T10:00:00Z'],
    ['2024-02-29T00:00:00Z', '1y', '2023-02-28T00:00:00Z'],
    ['2026-01-15T00:00:00Z', '12mo', '2025-01-15T00:00:00Z'],
    ['2026-01-01T00:00:00.000001Z', '1mo', '2025-12-01T00:00:00.000001Z'],
    ['2026-03-01T23:59:59Z', '1d', '2026-02-28T23:59:59Z'],
    ['2026-03-10T12:00:00Z', '2w', '2026-02-24T12:00:00Z'],
  ])('before %s, %s, is %s', (now, age, expected) => {
    expect(formatInstant(before(at(now), parseAge(age, '--older-than')))).toBe(expected);
  });

  it.each([
    ['2026-01-31T10:00:00Z', '1mo', '2026-02-28T10:00:00Z'],
    ['2024-02-29T00:00:00Z', '1y', '2025-02-28T00:00:00Z'],
    ['2026-12-31T23:59:59.000001Z', '7d', '2027-01-07T23:59:59.000001Z'],
    ['2026-02-24T12:00:00Z', '2w', '2026-03-10T12:00:00Z'],
  ])('after %s, %s, is %s', (now, age, expected) => {
    expect(formatInstant(after(at(now), parseAge(age, '--keep-for')))).toBe(expected);
  });
});
