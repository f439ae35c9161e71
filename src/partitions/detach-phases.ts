import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { StepLock } from '../db/step.ts';
import { type BoundCheck, checkPhases, chooseCheckName } from './bound-check.ts';
import { addCheck } from './bound-text.ts';
import type { DetachedLeaf } from './detached.ts';
import { gateSteps } from './gate.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { type DetachTask, guard, guardAttached, moves, note, wholeLeaf } from './leaf-statements.ts';
import type { Phase, Statement } from './leaf-work.ts';
import {
  detachConcurrentlyLocks,
  detachFinalizeLocks,
  detachLocks,
  type LockScene,
  leafLocks,
} from './locks.ts';

/** How a leaf is detached: `briefly` locks the parent for a moment, where a DEFAULT partition forbids CONCURRENTLY. */
export type DetachWay = 'concurrently' | 'briefly';

/** What the phases of a detach are made for. */
export interface DetachScene extends LockScene {
  /** The lock_timeout of a session that is ours, for statements outside of transactions; null behind a pooler. */
  readonly timeoutMs: number | null;
}

/** Chooses how leaves of a table are detached: PostgreSQL refuses CONCURRENTLY beside a DEFAULT partition (55000). */
export function wayOf({ relations }: LockScene): DetachWay {
  return relations.default === null ? 'concurrently' : 'briefly';
}

/** Gives the session lock_timeout for statements outside of transactions: the whole budget; null where none can be set. */
export function sessionTimeout(session: Session, { budget }: RunOptions): number | null {
  return session.pooled ? null : Math.max(1, budget.lockTimeoutMs, Math.round(budget.remainingMs()));
}

/** Makes the phases that detach an attached leaf; `gate` asks the retention gate again. */
export function detachPhases(scene: DetachScene, task: DetachTask, gate: boolean): readonly Phase[] {
  const { leaf } = task;
  const title = `Detach ${leaf.name}`;
  const asked = gate
    ? gateSteps(scene.table, { ...leaf, range: task.range }, 'detach', { title, transaction: 1 })
    : noteUncounted(scene, leaf);
  const way = wayOf(scene);
  const check = way === 'briefly' ? chooseCheckName(leaf, scene.table) : '';
  const begin: readonly Statement[] = [
    gate ? guardAttached(scene, leaf) : guard(scene, leaf, 'attached'),
    ...asked,
    note('note_detaching.sql', scene, task, {
      target_schema: task.targetSchema ?? '',
      check_name: check,
    }),
  ];
  if (way === 'concurrently') {
    return [{ kind: 'transaction', title, statements: begin }, concurrently(scene, leaf, 'attached')];
  }
  const statements = [...lockFirst(scene, leaf), ...begin, ...briefly(scene, leaf, check)];
  return [{ kind: 'transaction', title, statements }];
}

/** What the gate would have said of its triggers and files nobody can tell when it is detached, and to be dropped. */
function noteUncounted({ relations }: DetachScene, { oid }: LeafFacts): readonly Statement[] {
  if (!relations.isLogged) return [];
  return [{ sql: sqlStatement('partitions/note_uncounted.sql', { leaf_oid: String(oid) }) }];
}

/** Others wait behind the lock on the parent by then: what is still to be locked is waited for no longer than this. */
const HELD_UP_TIMEOUT = '25ms';

/** The longest wait comes first: what the guard and the gate look at after it is what is detached a moment later. */
function lockFirst(scene: DetachScene, leaf: LeafFacts): readonly Statement[] {
  const { table } = scene;
  return [
    {
      sql: sqlStatement('partitions/lock_parent.sql', { parent_schema: table.schema, parent: table.name }),
      locks: [{ relation: table.qualified, mode: 'ACCESS EXCLUSIVE' }],
    },
    { sql: sqlStatement('partitions/set_local_lock_timeout.sql', { timeout: HELD_UP_TIMEOUT }) },
    ...lockLogged(scene, leaf),
  ];
}

/** Whoever writes into the leaf directly is waited for before the gate looks at it. LOCK TABLE takes no foreign table (14 to 18). */
function lockLogged(scene: DetachScene, leaf: LeafFacts): readonly Statement[] {
  if (leaf.isForeign || !scene.relations.isLogged) return [];
  const sql = sqlStatement('partitions/lock_whole_leaf.sql', { schema: leaf.schema, leaf: leaf.name });
  return [{ sql, locks: leafLocks(scene, leaf) }];
}

function briefly(scene: DetachScene, leaf: LeafFacts, check: string): readonly Statement[] {
  const { table } = scene;
  const parent = { parent_schema: table.schema, parent: table.name };
  const locks = wholeLeaf(leaf, 'ACCESS EXCLUSIVE');
  return [
    {
      sql: sqlStatement('partitions/detach_leaf.sql', { ...parent, schema: leaf.schema, leaf: leaf.name }),
      locks: detachLocks(scene, leaf),
    },
    // The lock on the parent does not keep its leaves from being renamed.
    guard(scene, leaf, 'detached'),
    { sql: addCheck(leaf.relation, table, leaf.bound ?? '', check), locks },
  ];
}

function concurrently(scene: DetachScene, leaf: LeafFacts, state: 'attached' | 'detach_pending'): Phase {
  const { table, timeoutMs } = scene;
  const names = {
    parent_schema: table.schema,
    parent: table.name,
    schema: leaf.schema,
    leaf: leaf.name,
  };
  return {
    kind: 'detach',
    title: `${state === 'attached' ? 'Detach' : 'Finalize'} ${leaf.name}`,
    leaf,
    state,
    concurrently: sqlStatement('partitions/detach_concurrently.sql', names),
    finalize: sqlStatement('partitions/detach_finalize.sql', names),
    locks: state === 'attached' ? detachConcurrentlyLocks(scene, leaf) : detachFinalizeLocks(scene, leaf),
    timeoutMs,
  };
}

/** Makes the phases that finalize a leaf whose DETACH CONCURRENTLY was interrupted; `isKnown`: it is noted already. */
export function finalizePhases(scene: DetachScene, task: DetachTask, isKnown: boolean): readonly Phase[] {
  const { leaf } = task;
  const locks: readonly StepLock[] = [
    { relation: scene.table.qualified, mode: 'ACCESS SHARE' },
    { relation: leaf.relation, mode: 'ACCESS SHARE' },
  ];
  const known: Phase = {
    kind: 'transaction',
    title: `Finalize ${leaf.name}`,
    statements: [
      guard(scene, leaf, 'detach_pending'),
      { ...note('note_pending.sql', scene, task, { target_schema: task.targetSchema ?? '' }), locks },
    ],
  };
  return [...(isKnown ? [] : [known]), concurrently(scene, leaf, 'detach_pending')];
}

/** Makes the phases that complete a detached leaf: its CHECK, then publications, schema and note in one transaction. */
export function completionPhases(
  scene: LockScene,
  task: DetachTask & { readonly bound: string },
  check: BoundCheck | null,
  noted: DetachedLeaf['state'],
): readonly Phase[] {
  const { leaf } = task;
  const moved = moves(leaf, task.targetSchema);
  const checked = checkPhases(scene, leaf, task.bound, check);
  if (noted === 'detached' && moved.length === 0) return checked;
  // A publication that it was made a member of since is somebody's wish.
  const left = noted === 'detached' ? [] : ours(leaf);
  const statements: readonly Statement[] = [
    guard(scene, leaf, 'detached'),
    ...leavePublications(leaf, left),
    ...moved,
    {
      sql: sqlStatement('partitions/note_detached.sql', {
        leaf_oid: String(leaf.oid),
        publications: JSON.stringify(left.map(({ name, columns, filter }) => ({ name, columns, filter }))),
      }),
    },
    guard(scene, { ...leaf, schema: task.targetSchema ?? leaf.schema }, 'detached'),
  ];
  return [...checked, { kind: 'transaction', title: `Complete ${leaf.name}`, statements }];
}

const ours = ({ publications }: LeafFacts) => publications.filter(({ isOurs }) => isOurs);

function leavePublications(leaf: LeafFacts, left: LeafFacts['publications']): readonly Statement[] {
  return left.map(({ name }) => ({
    sql: sqlStatement('partitions/leave_publication.sql', {
      publication: name,
      schema: leaf.schema,
      leaf: leaf.name,
    }),
    locks: [{ relation: leaf.relation, mode: 'SHARE UPDATE EXCLUSIVE' }],
  }));
}
