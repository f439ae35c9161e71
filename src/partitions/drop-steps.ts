import { printable } from '../cli/table.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { Step, StepLock } from '../db/step.ts';
import type { TemplateValues } from '../db/template.ts';
import { BEGINNING, END, formatBound, type Instant } from '../time/instant.ts';
import { relationOf, type SelectedLeaf } from './drop-read.ts';
import { gateSteps } from './gate.ts';
import { dropAttachedLocks, dropDetachedLocks, type LockScene, leafLocks } from './locks.ts';

/**
 * How long the statements behind the first strong lock wait, in milliseconds: by then others queue, and what was free when the
 * transaction began is taken by somebody who will be done in a moment, or else the next try has better luck.
 */
const SECOND_LOCK_TIMEOUT_MS = 25;

/** Makes the steps that drop one leaf, in a transaction of its own; without `gate` it is not asked again in there. */
export function dropSteps(scene: LockScene, leaf: SelectedLeaf, gate: boolean): readonly Step[] {
  return leaf.state === 'detached' ? dropDetached(scene, leaf, gate) : dropAttached(scene, leaf, gate);
}

/**
 * DROP TABLE of an attached leaf locks its parent first, then the leaf, then DEFAULT, and waits up to lock_timeout for each
 * (14 to 18). The parent's lock is taken before it, so that the others are waited for more briefly, and the guard and the
 * gate look at what then can change no more.
 */
function dropAttached(scene: LockScene, leaf: SelectedLeaf, gate: boolean): readonly Step[] {
  const { table } = scene;
  const place = placeOf(leaf);
  const parentLock = { relation: table.qualified, mode: 'ACCESS EXCLUSIVE' } as const;
  const timeout = { timeout: `${SECOND_LOCK_TIMEOUT_MS}ms` };
  return [
    note(table, leaf),
    step(place, 'lock_parent.sql', { parent_schema: table.schema, parent: table.name }, [parentLock]),
    step(place, 'set_local_lock_timeout.sql', timeout),
    ...lockLogged(scene, leaf),
    step(place, 'guard_attached_leaf.sql', { ...identity(table, leaf), bound: leaf.bound }),
    ...(gate ? gateSteps(table, leaf, 'drop', place) : []),
    ...drop(leaf, dropAttachedLocks(scene, { oid: leaf.oid, relation: relationOf(leaf) })),
  ];
}

/** Whoever writes into the leaf directly is waited for before the gate looks at it. LOCK TABLE takes no foreign table (14 to 18). */
function lockLogged(scene: LockScene, leaf: SelectedLeaf): readonly Step[] {
  if (leaf.isForeign || !scene.relations.isLogged) return [];
  const locks = leafLocks(scene, { oid: leaf.oid, relation: relationOf(leaf) });
  return [step(placeOf(leaf), 'lock_whole_leaf.sql', nameOf(leaf), locks)];
}

function dropDetached(scene: LockScene, leaf: SelectedLeaf, gate: boolean): readonly Step[] {
  const { table } = scene;
  const place = placeOf(leaf);
  const relation = relationOf(leaf);
  // LOCK TABLE takes no foreign table (14 to 18): there only guard_dropped.sql sees that it was another one.
  const lock = leaf.isForeign
    ? []
    : [step(place, 'lock_leaf.sql', nameOf(leaf), [{ relation, mode: 'ACCESS EXCLUSIVE' }])];
  return [
    ...lock,
    step(place, 'guard_detached_leaf.sql', { ...identity(table, leaf), record_id: leaf.recordId ?? '' }),
    ...(gate ? gateSteps(table, leaf, 'drop', place) : []),
    note(table, leaf),
    ...drop(leaf, dropDetachedLocks(scene, { oid: leaf.oid, relation })),
  ];
}

function nameOf({ schema, name }: SelectedLeaf): TemplateValues {
  return { schema, leaf: name };
}

type Place = Pick<Step, 'title' | 'transaction'>;

function placeOf(leaf: SelectedLeaf): Place {
  return { title: `Drop ${printable(leaf.name)}`, transaction: 1 };
}

function step(place: Place, file: string, values: TemplateValues, locks: readonly StepLock[] = []): Step {
  return { ...place, sql: sqlStatement(`partitions/${file}`, values), locks };
}

function identity(table: PartitionedTable, { schema, name, oid }: SelectedLeaf): TemplateValues {
  return { table_oid: String(table.oid), schema, leaf: name, leaf_oid: String(oid) };
}

function drop(leaf: SelectedLeaf, locks: readonly StepLock[]): readonly Step[] {
  const place = placeOf(leaf);
  const names = nameOf(leaf);
  return [
    step(place, leaf.isForeign ? 'drop_foreign_leaf.sql' : 'drop_leaf.sql', names, locks),
    step(place, 'guard_dropped.sql', { ...names, leaf_oid: String(leaf.oid) }),
  ];
}

/** Remembers what is dropped: in the row that it has since it was detached, or in a new one. */
function note(table: PartitionedTable, leaf: SelectedLeaf): Step {
  const place = placeOf(leaf);
  if (leaf.recordId !== null) {
    return step(place, 'note_detached_dropped.sql', { record_id: leaf.recordId });
  }
  return step(place, 'note_dropped.sql', {
    ...identity(table, leaf),
    parent_schema: table.schema,
    parent: table.name,
    bound: leaf.bound,
    lower: stateInstant(leaf.range.lower),
    upper: stateInstant(leaf.range.upper),
  });
}

function stateInstant(instant: Instant): string {
  if (instant === BEGINNING) return '-infinity';
  return instant === END ? 'infinity' : formatBound(instant, 'timestamptz');
}
