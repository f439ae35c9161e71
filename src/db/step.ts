import type { LockMode } from './lock-modes.ts';

/** A lock that a statement takes on a relation that is somebody's: outside pg_catalog and `sensordb`. */
export interface StepLock {
  /** Schema-qualified and quoted as in SQL, so that it can be handed to `::regclass`. */
  readonly relation: string;
  readonly mode: LockMode;
}

/**
 * One SQL statement of a command, ready to be sent, or printed by `--dry-run`: the very same text.
 */
export interface Step {
  readonly title: string;
  readonly sql: string;
  /** Shared by the steps of one transaction; null for a statement that must run outside of any. */
  readonly transaction: number | null;
  /** The strongest lock on each relation that exists before the step. */
  readonly locks: readonly StepLock[];
}
