import { describe, expect, it } from 'vitest';
import { type EnsureFacts, planEnsure, runwayAfter } from '../../src/partitions/ensure-plan.ts';
import { sketchEnsure } from '../../src/partitions/ensure-sketch.ts';
import type { Leaf } from '../../src/partitions/read.ts';
import { at, leaf, TABLE } from '../support/leaves.ts';

const NOW = at('2026-03-15');

function plan(leaves: readonly Leaf[], facts: Partial<EnsureFacts> = {}) {
  const request = {
    horizon: { kind: 'ahead', count: 1, unit: 'month' },
    from: null,
    interval: 'month',
  } as const;
  const all = { taken: new Map(), defaultRows: new Map(), ...facts };
  const partitions = { leaves, default: { oid: 2, schema: 'public', name: 't_default' } };
  return planEnsure(TABLE, sketchEnsure(TABLE, leaves, request, NOW), partitions, all);
}

const taken = (...names: readonly string[]): EnsureFacts['taken'] =>
  new Map(names.map((name) => [name, { kind: 'table', partitionOf: null }]));
const rows = { count: 2, earliest: at('2026-03-02'), latest: at('2026-03-03') };

describe('planEnsure', () => {
  it('makes what is missing', () => {
    expect(plan([]).create.map(({ name }) => name)).toEqual(['t_2026_03', 't_2026_04']);
  });

  it('lists existing leaves, but for one whose detach is pending: that is a conflict', () => {
    const leaves = [
      leaf('a', '2026-03-01', '2026-04-01', { state: 'detach_pending' }),
      leaf('b', '2026-04-01', '2026-05-01'),
    ];
    const { existing, create, conflicts } = plan(leaves);
    expect({ existing, create }).toEqual({ existing: ['b'], create: [] });
    expect(conflicts).toMatchObject([
      {
        reason: 'detach_pending',
        hint: expect.stringContaining('sensordb partitions detach public.a --table public.t;'),
      },
    ]);
  });

  it('says of a name that a detached leaf of this very period has how to put it back', () => {
    const range = { lower: at('2026-03-01'), upper: at('2026-04-01') };
    const ofThis = new Map([
      ['t_2026_03', { kind: 'table', partitionOf: null, detachedRange: range }],
      ['t_2026_04', { kind: 'table', partitionOf: null, detachedRange: range }],
    ]);
    expect(plan([], { taken: ofThis, defaultRows: new Map() }).conflicts).toMatchObject([
      { hint: 'Put it back: sensordb partitions attach public.t_2026_03 --table public.t.' },
      { hint: expect.stringContaining('ATTACH PARTITION') },
    ]);
  });

  it('lets a name that is taken outweigh rows in DEFAULT, and sorts conflicts by their bounds', () => {
    const defaultRows = new Map([
      [at('2026-04-01'), rows],
      [at('2026-03-01'), rows],
    ]);
    const { conflicts, create } = plan([], { taken: taken('t_2026_04'), defaultRows });
    expect(create).toEqual([]);
    expect(conflicts.map(({ reason }) => reason)).toEqual(['rows_in_default', 'name_taken']);
  });

  it('never plans one name twice, nor one that a leaf of the table has', () => {
    const leaves = [leaf('t_2026_03', '2026-03-11', '2026-03-20')];
    const { create } = plan(leaves, { taken: taken('t_2026_03') });
    expect(create.map(({ name }) => name)).toEqual(['t_2026_03_01', 't_2026_03_20', 't_2026_04']);
  });

  it('does not go round a stranger of the first name', () => {
    const { conflicts } = plan([leaf('x', '2026-03-11', '2026-04-01')], { taken: taken('t_2026_03') });
    expect(conflicts).toMatchObject([{ reason: 'name_taken' }]);
  });

  it('tells of rows in DEFAULT how many, from when to when, and where', () => {
    const [conflict] = plan([], { defaultRows: new Map([[at('2026-03-01'), rows]]) }).conflicts;
    expect(conflict).toMatchObject({ rows, range: { lower: at('2026-03-01'), upper: at('2026-04-01') } });
    expect(conflict?.message).toBe(
      'There are 2 rows of this period in public.t_default, from 2026-03-02 to 2026-03-03.',
    );
    expect(conflict?.hint).toContain(
      'sensordb partitions drain --table public.t --from 2026-03-01 --until 2026-04-01',
    );
  });
});

it('runwayAfter counts attached leaves and new ones, not pending ones', () => {
  const leaves = [
    leaf('a', '2026-03-01', '2026-04-01'),
    leaf('b', '2026-05-01', '2026-06-01', { state: 'detach_pending' }),
  ];
  const made = [{ name: 'c', range: { lower: at('2026-04-01'), upper: at('2026-05-01') } }];
  expect(runwayAfter(leaves, made, NOW)).toEqual({ state: 'until', until: at('2026-05-01') });
});
