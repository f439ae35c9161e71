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
  attempt: (leaf: Leaf, options: RunOptions, isFirst: boolean) => Promise<TryResult>,
): Promise<void> {
  const blocked: Leaf[] = [];
  for (const leaf of leaves) {
    if ((await attempt(leaf, withoutWaiting(options), true)) === 'blocked') blocked.push(leaf);
  }
  for (const [at, leaf] of blocked.entries()) {
    if (options.budget.remainingMs() > 0) await attempt(leaf, withShare(options, blocked.length - at), false);
  }
}

/** What was in the way of a leaf for a moment is gone by its turn: one that is held for ever must not spend its time, too. */
function withShare(options: RunOptions, leaves: number): RunOptions {
  const { budget } = options;
  const total = budget.remainingMs();
  const others = total - total / leaves;
  return { ...options, budget: { ...budget, remainingMs: () => Math.max(0, budget.remainingMs() - others) } };
}

function withoutWaiting(options: RunOptions): RunOptions {
  return { ...options, budget: { ...options.budget, remainingMs: () => 0 } };
}
