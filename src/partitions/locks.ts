import type { PartitionedTable } from '../db/catalog.ts';
import type { LockMode } from '../db/lock-modes.ts';
import { type StepLock, strongestLocks } from '../db/step.ts';
import type { Related, Relations } from './relations.ts';

// Which locks partition DDL takes on which relations: measured on 14.23, 15.18, 16.14, 17.10 and 18.4, with pg_locks read
// from a second connection. The tests of the commands measure them again.

/** What decides about the locks of one statement. */
export interface LockScene {
  readonly table: PartitionedTable;
  readonly relations: Relations;
  /** server_version_num */
  readonly versionNum: number;
}

/** The leaf that a statement is about: its qualified name, and its OID if it is there already. */
export interface LockedLeaf {
  readonly oid: number;
  readonly relation: string;
}

const is14 = (scene: LockScene): boolean => scene.versionNum < 150_000;

/** ATTACH; for a leaf that is made in the same transaction give null. */
export function attachLocks(scene: LockScene, leaf: LockedLeaf | null): readonly StepLock[] {
  const { table, relations } = scene;
  const own = ownForeignKeys(scene, leaf);
  // The parent's key is added to a leaf that has none, under SHARE ROW EXCLUSIVE; one that it has is joined to the
  // parent's, for which triggers are dropped on the referenced table under ACCESS EXCLUSIVE.
  const referencedMode = (related: Related): LockMode =>
    own.has(related.relation) && !(is14(scene) && related.isPartitioned)
      ? 'ACCESS EXCLUSIVE'
      : 'SHARE ROW EXCLUSIVE';
  return strongestLocks([
    lock('SHARE UPDATE EXCLUSIVE', table.qualified),
    ...leafLocks(scene, leaf),
    ...(relations.default === null ? [] : withBelow(relations.default, 'ACCESS EXCLUSIVE')),
    ...relations.referenced.flatMap((related) => withBelow(related, referencedMode(related))),
    ...relations.referencing.map(({ relation }) =>
      lock(is14(scene) ? 'ACCESS SHARE' : 'SHARE ROW EXCLUSIVE', relation),
    ),
  ]);
}

/** Plain DETACH, inside a transaction. */
export function detachLocks(scene: LockScene, leaf: LockedLeaf): readonly StepLock[] {
  const { table, relations } = scene;
  return strongestLocks([
    lock('ACCESS EXCLUSIVE', table.qualified),
    ...leafLocks(scene, leaf),
    ...(relations.default === null ? [] : [lock('ACCESS EXCLUSIVE', relations.default.relation)]),
    ...farEndsOfDetach(scene),
    ...searchedForRows(scene),
  ]);
}

/** DETACH … CONCURRENTLY, over all its phases. */
export function detachConcurrentlyLocks(scene: LockScene, leaf: LockedLeaf): readonly StepLock[] {
  return strongestLocks([...detachFinalizeLocks(scene, leaf), ...searchedForRows(scene)]);
}

/** DETACH … FINALIZE: whether rows of the leaf are referenced was looked at when it began. */
export function detachFinalizeLocks(scene: LockScene, leaf: LockedLeaf): readonly StepLock[] {
  return strongestLocks([
    lock('SHARE UPDATE EXCLUSIVE', scene.table.qualified),
    ...leafLocks(scene, leaf),
    ...farEndsOfDetach(scene),
  ]);
}

/** The leaf's keys become its own, with triggers on the referenced tables; those of the referencing tables leave it. */
function farEndsOfDetach(scene: LockScene): readonly StepLock[] {
  const { referenced, referencing } = scene.relations;
  return [
    ...referencing.map(({ relation }) => lock('ACCESS EXCLUSIVE', relation)),
    ...referenced
      .filter(({ isPartitioned }) => !(is14(scene) && isPartitioned))
      .flatMap((related) => withBelow(related, 'SHARE ROW EXCLUSIVE')),
  ];
}

/** The partitions of referencing tables, which are searched for rows that reference the leaf. */
function searchedForRows({ relations }: LockScene): readonly StepLock[] {
  return relations.referencing.flatMap(({ below }) => below.map((name) => lock('ACCESS SHARE', name)));
}

/** DROP TABLE of an attached leaf: nothing on the tables that its keys lead to, since the keys are the parent's. */
export function dropAttachedLocks(scene: LockScene, leaf: LockedLeaf): readonly StepLock[] {
  const { table, relations } = scene;
  return strongestLocks([
    lock('ACCESS EXCLUSIVE', table.qualified),
    ...leafLocks(scene, leaf),
    ...(relations.default === null ? [] : [lock('ACCESS EXCLUSIVE', relations.default.relation)]),
  ]);
}

/** DROP TABLE of a detached leaf, whose keys are its own: their triggers are dropped on the tables that they lead to. */
export function dropDetachedLocks(scene: LockScene, leaf: LockedLeaf): readonly StepLock[] {
  const referenced = scene.relations.leaves.get(leaf.oid)?.referenced ?? [];
  return strongestLocks([
    ...leafLocks(scene, leaf),
    ...referenced
      .filter(({ isPartitioned }) => !(is14(scene) && isPartitioned))
      .flatMap((related) => withBelow(related, 'ACCESS EXCLUSIVE')),
  ]);
}

function ownForeignKeys({ relations }: LockScene, leaf: LockedLeaf | null): ReadonlySet<string> {
  const referenced = leaf === null ? [] : (relations.leaves.get(leaf.oid)?.referenced ?? []);
  return new Set(referenced.map(({ relation }) => relation));
}

/** LOCK TABLE of a leaf, which takes those below it along; none for null. */
export function leafLocks({ relations }: LockScene, leaf: LockedLeaf | null): readonly StepLock[] {
  if (leaf === null) return [];
  const below = relations.leaves.get(leaf.oid)?.below ?? [];
  return [leaf.relation, ...below].map((relation) => lock('ACCESS EXCLUSIVE', relation));
}

function withBelow({ relation, below }: Related, mode: LockMode): readonly StepLock[] {
  return [relation, ...below].map((name) => lock(mode, name));
}

function lock(mode: LockMode, relation: string): StepLock {
  return { relation, mode };
}
