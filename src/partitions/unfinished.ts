import type { DetachedLeaf } from './detached.ts';
import type { Leaf, Partitions } from './read.ts';

/** A leaf whose detach began and did not come to its end. */
export type Unfinished =
  | {
      /** DETACH CONCURRENTLY was interrupted halfway. */
      readonly kind: 'pending';
      readonly leaf: Leaf;
      /** What was noted when it began; null when somebody else began it. */
      readonly noted: DetachedLeaf | null;
    }
  | {
      /** It is no partition any more, but not yet what a detached leaf is to be. */
      readonly kind: 'incomplete';
      readonly leaf: DetachedLeaf;
      readonly noted: DetachedLeaf;
    };

/**
 * Finds the leaves that an interrupted detach left behind, in the order of their lower bounds; pure.
 *
 * Every run of detach carries them on first: a leaf that is "detach pending" keeps its bounds, refuses rows, and lets no other
 * leaf of the table be detached CONCURRENTLY (55000, 14 to 18).
 */
export function findUnfinished(
  partitions: Partitions,
  detached: readonly DetachedLeaf[],
): readonly Unfinished[] {
  const noted = new Map(detached.map((leaf) => [leaf.oid, leaf]));
  const pending = partitions.leaves
    .filter(({ state }) => state === 'detach_pending')
    .map((leaf): Unfinished => ({ kind: 'pending', leaf, noted: noted.get(leaf.oid) ?? null }));
  const incomplete = detached
    .filter((leaf) => !leaf.isAttached && !isNotOurs(leaf) && !isComplete(leaf))
    .map((leaf): Unfinished => ({ kind: 'incomplete', leaf, noted: leaf }));
  return [...pending, ...incomplete];
}

/**
 * Finds the notes of detaches that never took place: the leaf is attached as ever, or somebody else has detached it; pure.
 *
 * A run was cut after its note and before its DETACH CONCURRENTLY. What became of the leaf later is no matter of that run.
 */
export function findForgotten(
  partitions: Partitions,
  detached: readonly DetachedLeaf[],
): readonly DetachedLeaf[] {
  const attached = new Set(
    partitions.leaves.filter((leaf) => leaf.state === 'attached').map(({ oid }) => oid),
  );
  return detached.filter((leaf) => isNotOurs(leaf) || (leaf.state === 'detaching' && attached.has(leaf.oid)));
}

/** DETACH CONCURRENTLY leaves a CHECK, unless one of the leaf's own implies the bounds (14 to 18). */
const isNotOurs = ({ isAttached, state, checkName, hasOwnChecks }: DetachedLeaf): boolean =>
  !isAttached && state === 'detaching' && checkName === null && !hasOwnChecks;

/** Tells whether a noted leaf is what it should be: detached, with its CHECK. */
export function isComplete({ isAttached, state, checkIsValid }: DetachedLeaf): boolean {
  return !isAttached && state === 'detached' && checkIsValid;
}
