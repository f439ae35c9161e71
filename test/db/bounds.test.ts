import { expect, it } from 'vitest';
import { parseBound } from '../../src/db/bounds.ts';
import { at } from '../support/leaves.ts';

it.each([
  ["FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00')", '2026-01-01', '2026-02-01'],
  ["FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')", '2026-01-01', '2026-02-01'],
  ['FOR VALUES FROM (MINVALUE) TO (MAXVALUE)', 'min', 'max'],
  ["FOR VALUES FROM ('-infinity') TO ('infinity')", 'min', 'max'],
  [
    "FOR VALUES FROM ('0044-03-15 00:00:00+00 BC') TO ('12026-01-01 00:00:00+00')",
    '0044-03-15 BC',
    '12026-01-01',
  ],
  ["FOR VALUES FROM (MINVALUE) TO ('2026-01-01 00:00:00.000001+00')", 'min', '2026-01-01 00:00:00.000001'],
])('reads %s', (text, lower, upper) => {
  expect(parseBound(text, 'p')).toEqual({ kind: 'range', range: { lower: at(lower), upper: at(upper) } });
});

it('reads DEFAULT', () => {
  expect(parseBound('DEFAULT', 'p')).toEqual({ kind: 'default' });
});

it.each(["FOR VALUES IN ('a')", "FOR VALUES FROM ('01.02.2026') TO ('02.02.2026')", ''])(
  'refuses %j',
  (text) => {
    expect(() => parseBound(text, 'public.p')).toThrow('The bound of public.p cannot be read');
  },
);
