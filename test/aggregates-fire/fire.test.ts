import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Ground, prepareGround } from '../support/fire-ground.ts';
import { describeRound, fireRound } from '../support/fire-round.ts';

let ground: Ground;

beforeAll(async () => {
  ground = await prepareGround(inject('serverUrl'));
});

afterAll(async () => {
  await ground.drop();
});

// One round in four begins where no aggregates are kept yet.
const FIRST = randomInt(1_000_000) * 4;

test.each([0, 1, 2])('under fire, what a refresh leaves is exact (round %i)', async (round) => {
  const report = await fireRound(ground, { seed: FIRST + round, milliseconds: 2500, terminate: true });
  expect(report.faults, describeRound(report)).toEqual([]);
  expect(report.done.get('commit')).toBeGreaterThan(0);
});
