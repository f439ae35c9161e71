import { describe, expect, it } from 'vitest';
import { nameIndexes } from '../../src/partitions/index-names.ts';
import { cutToBytes, fitName } from '../../src/partitions/names.ts';

describe('fitName', () => {
  it.each([
    ['t', '_2026_01', 't_2026_01'],
    ['x'.repeat(55), '_2026_01', `${'x'.repeat(55)}_2026_01`],
  ])('leaves %s%s as it is when it fits', (base, suffix, name) => {
    expect(fitName(base, suffix)).toBe(name);
  });

  it.each([
    ['ASCII', 'x'.repeat(56)],
    ['three-byte characters', '時'.repeat(21)],
    ['four-byte characters', '🚀'.repeat(15)],
  ])('keeps to 63 bytes and to whole characters: %s', (_, base) => {
    const name = fitName(base, '_2026_01');
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(Buffer.byteLength(name)).toBeGreaterThan(59);
    expect(name).toMatch(/_[0-9a-f]{8}_2026_01$/);
    expect(name).not.toContain('\ufffd');
  });

  it('tells bases apart that differ in their last byte alone', () => {
    expect(fitName(`${'x'.repeat(62)}1`, '_2026_01')).not.toBe(fitName(`${'x'.repeat(62)}2`, '_2026_01'));
  });
});

it('cutToBytes cuts at a character', () => {
  expect([
    cutToBytes('aé時', 1),
    cutToBytes('aé時', 2),
    cutToBytes('aé時', 3),
    cutToBytes('aé時', 9),
  ]).toEqual(['a', 'a', 'aé', 'aé時']);
});

describe('nameIndexes', () => {
  const index = (constraintType: string | null, ...columns: readonly string[]) => ({
    columns,
    constraintType,
  });

  it('names as PostgreSQL does', () => {
    const indexes = [
      index('p', 'id', 'at'),
      index('u', 'a', 'b'),
      index(null, 'a'),
      index(null, 'expr', 'b'),
    ];
    expect(nameIndexes('t_2026_01', indexes, new Set())).toEqual([
      't_2026_01_pkey',
      't_2026_01_a_b_key',
      't_2026_01_a_idx',
      't_2026_01_expr_b_idx',
    ]);
  });

  it('counts on where a name is taken, and takes each it gives', () => {
    const taken = new Set(['t_a_idx']);
    expect(nameIndexes('t', [index(null, 'a'), index(null, 'a')], taken)).toEqual(['t_a_idx1', 't_a_idx2']);
    expect(taken).toEqual(new Set(['t_a_idx', 't_a_idx1', 't_a_idx2']));
  });

  it('gives every index of a long table with long columns a name of its own, of 63 bytes at most', () => {
    const indexes = Array.from({ length: 40 }, () => index(null, '時'.repeat(20), 'y'.repeat(60)));
    const names = nameIndexes('x'.repeat(63), indexes, new Set());
    expect(new Set(names).size).toBe(40);
    expect(names.every((name) => Buffer.byteLength(name) <= 63 && !name.includes('\ufffd'))).toBe(true);
  });
});
