import { describe, expect, it } from 'vitest';
import { mergeRanges } from '../../src/time/ranges.ts';

const ranges = (...pairs: readonly (readonly [bigint, bigint])[]) =>
  pairs.map(([lower, upper]) => ({ lower, upper }));

describe('mergeRanges', () => {
  it('joins what touches or overlaps, in any order', () => {
    expect(mergeRanges(ranges([5n, 7n], [1n, 3n], [3n, 4n], [6n, 9n], [6n, 7n]))).toEqual(
      ranges([1n, 4n], [5n, 9n]),
    );
    expect(mergeRanges([])).toEqual([]);
  });
});
