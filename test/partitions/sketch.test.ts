import { describe, expect, it } from 'vitest';
import { type EnsureRequest, sketchEnsure } from '../../src/partitions/ensure-sketch.ts';
import type { Leaf } from '../../src/partitions/read.ts';
import { formatInstantShort } from '../../src/time/instant.ts';
import { at, leaf, TABLE } from '../support/leaves.ts';

type Ahead = readonly [number, 'month' | 'week' | 'day'];

function request(horizon: Ahead | string, more: Partial<EnsureRequest> = {}): EnsureRequest {
  return {
    horizon:
      typeof horizon === 'string'
        ? { kind: 'until', until: at(horizon) }
        : { kind: 'ahead', count: horizon[0], unit: horizon[1] },
    from: null,
    interval: null,
    ...more,
  };
}

function sketch(now: string, asked: EnsureRequest, leaves: readonly Leaf[] = []) {
  const { interval, holes, existing, range } = sketchEnsure(TABLE, leaves, asked, at(now));
  return {
    interval,
    range: [formatInstantShort(range.lower), formatInstantShort(range.upper)],
    existing: existing.map(({ name }) => name),
    names: holes.map(({ names }) => names[0]),
    holes: holes.map(({ range: { lower, upper } }) => [formatInstantShort(lower), formatInstantShort(upper)]),
  };
}

describe('the months asked for', () => {
  it.each([
    ['2026-01-31 23:59:59', 1, ['t_2026_01', 't_2026_02']],
    ['2026-02-01 00:00:01', 1, ['t_2026_02', 't_2026_03']],
    ['2026-12-31 23:59:59.999999', 1, ['t_2026_12', 't_2027_01']],
    ['2027-01-01 00:00:00', 1, ['t_2027_01', 't_2027_02']],
    ['2024-02-29 12:00:00', 0, ['t_2024_02']],
    ['2026-01-31', 3, ['t_2026_01', 't_2026_02', 't_2026_03', 't_2026_04']],
  ])('at %s, %i ahead', (now, count, names) => {
    expect(sketch(now, request([count, 'month'])).names).toEqual(names);
  });
});

describe('horizons of one unit over leaves of another', () => {
  it.each([
    ['day', [1, 'month'], 't_2026_03_15', 't_2026_04_30', 47],
    ['week', [1, 'month'], 't_2026_w11', 't_2026_w18', 8],
    ['quarter', [1, 'month'], 't_2026_q1', 't_2026_q2', 2],
    ['year', [12, 'month'], 't_2026', 't_2027', 2],
    ['month', [3, 'week'], 't_2026_03', 't_2026_04', 2],
    ['month', [0, 'day'], 't_2026_03', 't_2026_03', 1],
    ['month', [17, 'day'], 't_2026_03', 't_2026_04', 2],
    ['month', [16, 'day'], 't_2026_03', 't_2026_03', 1],
    ['week', [0, 'day'], 't_2026_w11', 't_2026_w11', 1],
    ['day', [1, 'week'], 't_2026_03_15', 't_2026_03_22', 8],
  ] as const)('%s leaves, %j', (interval, horizon, first, last, count) => {
    const { names } = sketch('2026-03-15 12:34:56', request(horizon, { interval }));
    expect([names[0], names.at(-1), names.length]).toEqual([first, last, count]);
  });
});

it('weeks over the end of a year are named by ISO', () => {
  const { names, holes } = sketch('2027-01-01', request([1, 'week'], { interval: 'week' }));
  expect(names).toEqual(['t_2026_w53', 't_2027_w01']);
  expect(holes[0]).toEqual(['2026-12-28', '2027-01-04']);
});

it('--from and --until are widened to whole periods', () => {
  const asked = request('2026-05-31 00:00:00.000001', { from: at('2026-02-28 23:00') });
  expect(sketch('2026-03-15', asked).range).toEqual(['2026-02-01', '2026-06-01']);
  expect(sketch('2026-03-15', request('2026-06-01')).range).toEqual(['2026-03-01', '2026-06-01']);
});

describe('holes', () => {
  it('are what leaves leave, cut at the periods, and a pending detach leaves nothing', () => {
    const leaves = [
      leaf('feb', '2026-02-01', '2026-03-01'),
      leaf('a', '2026-03-05', '2026-03-10 06:00'),
      leaf('b', '2026-04-20', '2026-05-02', { state: 'detach_pending' }),
    ];
    expect(sketch('2026-03-15', request([2, 'month']), leaves)).toMatchObject({
      existing: ['a', 'b'],
      names: ['t_2026_03', 't_2026_03_10_0600', 't_2026_04', 't_2026_05_02'],
      holes: [
        ['2026-03-01', '2026-03-05'],
        ['2026-03-10T06:00:00Z', '2026-04-01'],
        ['2026-04-01', '2026-04-20'],
        ['2026-05-02', '2026-06-01'],
      ],
    });
  });

  it('do not exist where a leaf has no end, or no beginning', () => {
    const leaves = [leaf('old', 'min', '2026-03-20'), leaf('rest', '2026-05-01', 'max')];
    expect(sketch('2026-03-15', request([5, 'month']), leaves)).toMatchObject({
      interval: 'month',
      existing: ['old', 'rest'],
      holes: [
        ['2026-03-20', '2026-04-01'],
        ['2026-04-01', '2026-05-01'],
      ],
    });
  });

  it('of years far away and before our era trouble nobody', () => {
    const leaves = [
      leaf('ancient', '0044-03-01 BC', '0044-04-01 BC'),
      leaf('march', '2026-03-01', '2026-04-01'),
      leaf('distant', '12026-03-01', '12026-04-01'),
    ];
    expect(sketch('2026-03-15', request([1, 'month']), leaves)).toMatchObject({
      existing: ['march'],
      names: ['t_2026_04'],
    });
  });
});

describe('the interval', () => {
  it.each([
    ['week', [leaf('w', '2026-03-02', '2026-03-09')]],
    ['day', [leaf('old', '2026-01-01', '2026-02-01'), leaf('new', '2026-02-01', '2026-02-02')]],
    ['month', [leaf('old', '2026-01-01', '2026-02-01'), leaf('odd', '2026-02-01', '2026-02-11')]],
    ['month', [leaf('rest', '2026-02-01', 'max')]],
    ['month', []],
    ['quarter', [leaf('q', '2026-01-01', '2026-04-01')]],
    ['year', [leaf('y', '2026-01-01', '2027-01-01')]],
  ] as const)('is %s, as the newest leaf that is a period', (interval, leaves) => {
    expect(sketch('2026-03-15', request([0, 'day']), leaves).interval).toBe(interval);
  });

  it('is not told from what fills up a month beside an odd leaf', () => {
    const october = leaf('t_2026_10', '2026-10-01', '2026-11-01');
    const odd = leaf('legacy', '2026-11-01', '2026-11-30');
    const filler = leaf('t_2026_11_30', '2026-11-30', '2026-12-01');
    const { interval, names } = sketch('2026-11-22', request([2, 'month']), [october, odd, filler]);
    expect([interval, names]).toEqual(['month', ['t_2026_12', 't_2027_01']]);
    const days = [1, 2].map((day) => leaf(`t_2026_11_0${day}`, `2026-11-0${day}`, `2026-11-0${day + 1}`));
    expect(sketch('2026-11-02', request([1, 'day']), [october, ...days]).interval).toBe('day');
  });

  it('cannot be told from leaves in another time zone: it is asked for', () => {
    const leaves = [leaf('ny', '2026-01-01 05:00', '2026-02-01 05:00')];
    expect(() => sketch('2026-03-15', request([1, 'month']), leaves)).toThrow('no calendar periods in UTC');
    expect(sketch('2026-03-15', request([0, 'month'], { interval: 'month' }), leaves).names).toEqual([
      't_2026_03',
    ]);
  });
});

describe('what cannot be asked for', () => {
  it.each([
    [[10_000, 'day'], 'day', 'more than 10000'],
    [[1_000_000, 'month'], 'year', 'after the year 9999'],
    [[95_700, 'month'], 'year', 'after the year 9999'],
    ['2026-03-15', 'month', 'Nothing lies between'],
    ['2026-03-14', 'year', 'Nothing lies between'],
  ] as const)('%j by %s', (horizon, interval, message) => {
    expect(() => sketch('2026-03-15', request(horizon, { interval }))).toThrow(message);
  });

  it('exactly 10,000 leaves can', () => {
    expect(sketch('2026-03-15', request([9999, 'day'], { interval: 'day' })).names).toHaveLength(10_000);
  });
});
