import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Weight } from '../../src/aggregates/slices.ts';
import { planSlices } from '../../src/aggregates/verify-plan.ts';
import { BEGINNING, fromCivil, type Range } from '../../src/time/instant.ts';
import { aggregatedDatabase, verify } from '../support/aggregates.ts';
import { NOW } from '../support/live.ts';
import { runText } from '../support/partitions.ts';
import type { TestDatabase } from '../support/server.ts';

const HOUR = 3_600_000_000n;
const range = (from: number, to: number): Range => ({
  lower: fromCivil(2026, from, 1),
  upper: fromCivil(2026, to, 1),
});
const leaf = (from: number, to: number, rows: number): Weight => ({ range: range(from, to), rows });
const hoursOf = (slices: readonly { readonly range: Range }[]): bigint =>
  slices.reduce((sum, { range: { lower, upper } }) => sum + (upper - lower) / HOUR, 0n);

describe('slices', () => {
  it('are of about so many readings, follow each other, and leave nothing out', () => {
    const weights = [leaf(1, 2, 10), leaf(2, 3, 1000), leaf(3, 4, 5)];
    const { slices, drawn } = planSlices([range(1, 4)], weights, null, 100);
    expect(drawn).toBeNull();
    expect(slices.length).toBeGreaterThan(10);
    for (const { rowsEstimate } of slices) expect(rowsEstimate).toBeLessThan(115);
    expect(slices[0]?.range.lower).toBe(fromCivil(2026, 1, 1));
    for (const [at, { range: one }] of slices.entries()) {
      expect(one.upper).toBe(slices[at + 1]?.range.lower ?? fromCivil(2026, 4, 1));
      expect(one.upper % HOUR).toBe(0n);
    }
  });

  it('of 5,000 leaves reach into a hundred of them at most', () => {
    const lower = fromCivil(2010, 1, 1);
    const weights = Array.from({ length: 5000 }, (_, at) => ({
      range: { lower: lower + BigInt(at) * 24n * HOUR, upper: lower + BigInt(at + 1) * 24n * HOUR },
      rows: 10,
    }));
    const { slices } = planSlices([{ lower, upper: lower + 5000n * 24n * HOUR }], weights, null);
    for (const { range: one } of slices) expect(one.upper - one.lower).toBeLessThanOrEqual(101n * 24n * HOUR);
  });

  it.each([0.001, 0.01, 0.25, 0.9])('of a sample are the share of the hours (%d)', (share) => {
    const { slices, drawn } = planSlices([range(1, 4)], [leaf(1, 4, 10)], { share, seed: 7 });
    const all = Number(hoursOf([{ range: range(1, 4) }]));
    expect(Number(hoursOf(slices))).toBeGreaterThanOrEqual(Math.floor(all * share));
    expect(Number(hoursOf(slices))).toBeLessThanOrEqual(Math.ceil(all * share) + 2);
    expect(drawn?.pieces).toBe(Math.ceil((drawn?.of ?? 0) * share));
  });

  it('of a sample are the same for the same seed, others for another, and spread over all time', () => {
    const of = (seed: number) =>
      planSlices([range(1, 7)], [leaf(1, 7, 10)], { share: 0.1, seed }).slices.map(({ range: one }) => one);
    expect(of(7)).toEqual(of(7));
    const [a, b] = [new Set(of(7).map(({ lower }) => lower)), of(8).map(({ lower }) => lower)];
    expect(b.filter((lower) => a.has(lower)).length).toBeLessThan(b.length / 2);
    for (let month = 1; month < 7; month += 1) {
      expect(
        of(7).filter(({ lower }) => lower >= range(month, 7).lower && lower < range(month + 1, 12).lower)
          .length,
      ).toBeGreaterThan(15);
    }
  });

  it('of a sample take time without leaves as one piece, and are one at least', () => {
    const settled = [{ lower: BEGINNING, upper: fromCivil(2026, 4, 1) }];
    const { drawn } = planSlices(settled, [leaf(3, 4, 10)], { share: 0.5, seed: 1 });
    expect(drawn?.of).toBe(31 * 24 + 2);
    expect(planSlices([range(1, 2)], [], { share: 1e-9, seed: 1 }).slices).toHaveLength(1);
    expect(planSlices([], [], { share: 0.5, seed: 1 }).slices).toEqual([]);
  });
});

describe('verify --sample', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await aggregatedDatabase();
  });
  afterAll(() => database.drop());

  const JUST = ['--from', '2026-03-01', '--to', '2026-03-04'];

  it('checks that share of the hours, and the same ones with the seed it told', async () => {
    await database.sql.unsafe('update sensors_sensoraggregate set reading_count = reading_count + 1');
    const first = await verify(database, [...JUST, '--sample', '0.25']);
    expect(first).toMatchObject({
      exitCode: 3,
      data: { checkedHours: 3 * 18, sample: { share: 0.25, pieces: 18, of: 72 } },
    });
    const again = await verify(database, [
      ...JUST,
      '--sample',
      '0.25',
      '--seed',
      String(first.data.sample.seed),
    ]);
    expect(again.data).toEqual(first.data);
    const other = await verify(database, [
      ...JUST,
      '--sample',
      '0.25',
      '--seed',
      String(first.data.sample.seed + 1),
    ]);
    expect(other.data.mismatches).not.toEqual(first.data.mismatches);
    expect((await verify(database, [...JUST, '--sample', '1'])).data).toMatchObject({ checkedHours: 216 });
  });

  it('tells the seed on a terminal and off it', async () => {
    const words = ['aggregates', 'verify', ...JUST, '--sample', '.25', '--seed', '4711'];
    const shown = await runText(database, words, { now: NOW, terminal: 120, env: { NO_COLOR: '1' } });
    expect(shown.stdout).toContain('54 device-hours compared with 216 readings in 18 of 72 pieces of time\n');
    expect(shown.stdout).toContain('The same hours again: --sample 0.25 --seed 4711\n');
    expect((await runText(database, words, { now: NOW })).stdout).toContain('sample\t0.25\tseed\t4711\n');
  });
});
