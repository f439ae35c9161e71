import type { RunOptions } from '../db/budget.ts';

/** What one try at a piece of work came to; `blocked`: somebody's lock was in the way. */
export type TryResult = 'done' | 'refused' | 'blocked';

/**
 * Works on leaves one by one: first on all that nobody is in the way of, then on the others, waiting for each as far as the
 * budget goes.
 *
 * One reader of one leaf would otherwise spend the whole budget before the next leaf has its turn.
 */
export async function inRounds<Leaf>(
  leaves: readonly Leaf[],
  options: RunOptions,
  attempt: (leaf: Leaf, options: RunOptions) => Promise<TryResult>,
): Promise<void> {
  const blocked: Leaf[] = [];
  for (const leaf of leaves) {
    if ((await attempt(leaf, withoutWaiting(options))) === 'blocked') blocked.push(leaf);
  }
  for (const leaf of blocked) {
    if (options.budget.remainingMs() > 0) await attempt(leaf, options);
  }
}

function withoutWaiting(options: RunOptions): RunOptions {
  return { ...options, budget: { ...options.budget, remainingMs: () => 0 } };
}
