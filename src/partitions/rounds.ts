import type { RunOptions } from '../db/budget.ts';

/** What one try at a piece of work came to; `blocked`: somebody's lock was in the way. */
export type TryResult = 'done' | 'refused' | 'blocked';

/**
 * Works on leaves one by one: first on all that nobody is in the way of, then on the others, in turns, waiting as far as the
 * budget goes.
 *
 * One reader of one leaf would otherwise spend the whole budget before the next leaf has its turn.
 */
export async function inRounds<Leaf>(
  leaves: readonly Leaf[],
  options: RunOptions,
  attempt: (leaf: Leaf, options: RunOptions, isFirst: boolean) => Promise<TryResult>,
): Promise<void> {
  let blocked: Leaf[] = [];
  for (const leaf of leaves) {
    if ((await attempt(leaf, withoutWaiting(options), true)) === 'blocked') blocked.push(leaf);
  }
  while (blocked.length > 0 && options.budget.remainingMs() > 0) {
    const waiting = blocked;
    const before = options.budget.remainingMs();
    blocked = [];
    for (const [at, leaf] of waiting.entries()) {
      const allowed = withShare(options, waiting.length - at);
      if ((await attempt(leaf, allowed, false)) === 'blocked') blocked.push(leaf);
    }
    // What is blocked without anybody to wait for would go round for ever.
    if (blocked.length === waiting.length && options.budget.remainingMs() === before) return;
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
