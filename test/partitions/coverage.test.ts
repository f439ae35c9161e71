import { describe, expect, it } from 'vitest';
import { gapsOf, holesIn, overlaps, runwayOf } from '../../src/partitions/coverage.ts';
import { BEGINNING, END, type Range } from '../../src/time/instant.ts';

const ranges = (...pairs: readonly (readonly [bigint, bigint])[]): readonly Range[] =>
  pairs.map(([lower, upper]) => ({ lower, upper }));

describe('holesIn', () => {
  it.each([
    ['nothing is covered', [], [[0n, 10n]]],
    ['all is covered', [[0n, 10n]], []],
    ['all is covered without bounds', [[BEGINNING, END]], []],
    [
      'the middle is covered',
      [[3n, 4n]],
      [
        [0n, 3n],
        [4n, 10n],
      ],
    ],
    [
      'cover reaches out at both ends',
      [
        [-5n, 2n],
        [8n, 20n],
      ],
      [[2n, 8n]],
    ],
    [
      'one microsecond is missing',
      [
        [0n, 5n],
        [6n, 10n],
      ],
      [[5n, 6n]],
    ],
    [
      'cover lies outside',
      [
        [-5n, 0n],
        [10n, 20n],
      ],
      [[0n, 10n]],
    ],
  ] as const)('when %s', (_, covered, holes) => {
    expect(holesIn({ lower: 0n, upper: 10n }, ranges(...covered))).toEqual(ranges(...holes));
  });
});

it('gapsOf looks between the first and the last instant alone', () => {
  expect(gapsOf(ranges([BEGINNING, 1n], [3n, 5n], [5n, END]))).toEqual(ranges([1n, 3n]));
  expect(gapsOf([])).toEqual([]);
});

describe('runwayOf', () => {
  it.each([
    [
      'up to the first gap',
      [
        [0n, 5n],
        [5n, 7n],
        [8n, 9n],
      ],
      { state: 'until', until: 7n },
    ],
    [
      'without end',
      [
        [0n, 5n],
        [5n, END],
      ],
      { state: 'unbounded' },
    ],
    ['none before the first', [[5n, END]], { state: 'none' }],
    ['none at the exclusive end', [[0n, 4n]], { state: 'none' }],
    ['from the inclusive start', [[4n, 6n]], { state: 'until', until: 6n }],
    ['none at all', [], { state: 'none' }],
  ] as const)('%s', (_, covered, runway) => {
    expect(runwayOf(ranges(...covered), 4n)).toEqual(runway);
  });
});

it('half-open ranges that touch do not overlap', () => {
  expect(overlaps({ lower: 0n, upper: 5n }, { lower: 5n, upper: 6n })).toBe(false);
  expect(overlaps({ lower: 0n, upper: 5n }, { lower: 4n, upper: 6n })).toBe(true);
});
