import { LOCK_MODES, type LockMode } from './lock-modes.ts';

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
  /** Where the statement stands, if it is one of a file that users read: an error is reported at its line. */
  readonly source?: StepSource;
}

/** A statement's place in an SQL file. */
interface StepSource {
  readonly file: string;
  /** The file's text with its placeholders filled in, and where in it the statement begins. */
  readonly text: string;
  readonly offset: number;
  /** The line of the statement's first word. */
  readonly line: number;
}

/** Keeps the strongest of the locks on each relation, in the order in which the relations come. */
export function strongestLocks(locks: readonly StepLock[]): readonly StepLock[] {
  const strongest = new Map<string, LockMode>();
  for (const { relation, mode } of locks) {
    const known = strongest.get(relation);
    if (known === undefined || LOCK_MODES.indexOf(mode) > LOCK_MODES.indexOf(known)) {
      strongest.set(relation, mode);
    }
  }
  return [...strongest].map(([relation, mode]) => ({ relation, mode }));
}

/** Splits steps into those of one transaction each, and single ones that stand outside of any. */
export function groupSteps(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const group = groups.at(-1);
    const isSame = step.transaction !== null && group?.[0]?.transaction === step.transaction;
    if (isSame) group?.push(step);
    else groups.push([step]);
  }
  return groups;
}

/** Joins pieces of work, each of which numbers its transactions for itself, into one list that numbers them through. */
export function joinWork(pieces: readonly (readonly Step[])[]): readonly Step[] {
  const groups = pieces.flatMap((steps) => groupSteps(steps));
  let last = 0;
  return groups.flatMap((group) => {
    if (group[0]?.transaction === null) return group;
    last += 1;
    const transaction = last;
    return group.map((step) => ({ ...step, transaction }));
  });
}
