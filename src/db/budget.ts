import { setTimeout as sleep } from 'node:timers/promises';

/** How long one command may wait for locks: one try, and all tries together, in milliseconds. */
export interface LockBudget {
  /** The `lock_timeout` of one try: the longest that others can queue behind us. */
  readonly lockTimeoutMs: number;
  /** What is left of the whole budget; only waiting spends it, work does not. */
  remainingMs(): number;
  /** Waits for a moment and takes it from the budget; rejects when the signal aborts. */
  pause(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Takes time that was spent waiting elsewhere, such as in a try that ran into its lock_timeout. */
  spend(milliseconds: number): void;
}

/** What a run of steps needs: how long it may wait, and whom it tells that it does. */
export interface RunOptions {
  readonly budget: LockBudget;
  /** Told, each time it changes, whom the run waits for. */
  readonly onWait: (message: string) => void;
}

/** Makes the lock budget of one command from `--lock-timeout` and `--wait`. */
export function createBudget(lockTimeoutMs: number, waitMs: number): LockBudget {
  let spentMs = 0;
  return {
    lockTimeoutMs,
    remainingMs: () => Math.max(0, waitMs - spentMs),
    pause: async (milliseconds, signal) => {
      const start = performance.now();
      await sleep(milliseconds, undefined, { signal });
      spentMs += performance.now() - start;
    },
    spend: (milliseconds) => {
      spentMs += milliseconds;
    },
  };
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/**
 * Chooses the pause before the next try: doubling from 50 ms to 1 s, with "equal jitter" (half fixed, half random), so
 * that two runs that collide once do not collide for ever.
 */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random();
}
