import { expect, it } from 'vitest';
import { createBudget } from '../../src/db/budget.ts';
import { inRounds } from '../../src/partitions/rounds.ts';

/** Tries leaves that are blocked until so much of the budget is spent; gives the order in which they were done. */
async function tried(blockedUntil: Readonly<Record<string, number>>, waitMs: number) {
  const budget = createBudget(100, waitMs);
  const done: string[] = [];
  const spent = () => waitMs - budget.remainingMs();
  await inRounds(Object.keys(blockedUntil), { budget, onWait: () => {} }, async (leaf, allowed) => {
    const wait = Math.min(allowed.budget.remainingMs(), Math.max(0, (blockedUntil[leaf] ?? 0) - spent()));
    budget.spend(wait);
    if (spent() < (blockedUntil[leaf] ?? 0)) return 'blocked';
    done.push(leaf);
    return 'done';
  });
  return { done, spentMs: spent() };
}

it('works first on what nobody is in the way of', async () => {
  expect(await tried({ held: 500, free: 0 }, 1000)).toEqual({ done: ['free', 'held'], spentMs: 500 });
});

it('waits for all that one reader of all is in the way of, until he is gone', async () => {
  const leaves = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`leaf ${at}`, 5000]));
  const { done, spentMs } = await tried(leaves, 30_000);
  expect([done.toSorted(), spentMs]).toEqual([Object.keys(leaves).toSorted(), 5000]);
});

it('lets one that is held for ever spend no more than what the others leave', async () => {
  const { done, spentMs } = await tried({ forever: Number.MAX_SAFE_INTEGER, later: 700, soon: 400 }, 1000);
  expect([done, spentMs]).toEqual([['soon', 'later'], 1000]);
});

it('ends when what is blocked waits for nobody', async () => {
  const budget = createBudget(100, 1000);
  const tries: string[] = [];
  await inRounds(['one', 'other'], { budget, onWait: () => {} }, async (leaf) => {
    tries.push(leaf);
    return 'blocked';
  });
  expect(tries).toEqual(['one', 'other', 'one', 'other']);
});
