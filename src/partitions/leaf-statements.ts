import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import type { StepLock } from '../db/step.ts';
import { BEGINNING, END, formatBound, type Instant, type Range } from '../time/instant.ts';
import type { LeafFacts, LeafState } from './leaf-facts.ts';
import type { Phase, Statement } from './leaf-work.ts';
import type { LockScene } from './locks.ts';

/** A leaf that is to be detached. */
export interface DetachTask {
  readonly leaf: LeafFacts;
  readonly range: Range;
  /** Where it is to be moved; null leaves it where it is. */
  readonly targetSchema: string | null;
}

/** Makes the statements that move a leaf, and those of its own partitions that stand beside it, into another schema. */
export function moves(leaf: LeafFacts, target: string | null): readonly Statement[] {
  if (target === null || target === leaf.schema) return [];
  const beside = leaf.below.filter(({ schema }) => schema === leaf.schema);
  return [leaf, ...beside].map(({ schema, name }) => ({
    sql: sqlStatement('partitions/set_schema.sql', { schema, leaf: name, target }),
    locks: [{ relation: qualifiedName(schema, name), mode: 'ACCESS EXCLUSIVE' }],
  }));
}

/** Makes the statement that ends a transaction unless the leaf is what it was planned for. */
export function guard({ table }: LockScene, leaf: LeafFacts, state: LeafState): Statement {
  return {
    sql: sqlStatement('partitions/guard_leaf.sql', {
      parent_oid: String(table.oid),
      leaf_oid: String(leaf.oid),
      schema: leaf.schema,
      leaf: leaf.name,
      // Of a leaf that has just been attached it is what the statement before has given it.
      bound: state === 'detached' ? '' : (leaf.bound ?? ''),
      state,
    }),
  };
}

/** Makes the phase that ends the note of a detach which did not take place; nothing happens when it did. */
export function forgetPhase({ oid, name }: Pick<LeafFacts, 'oid' | 'name'>): Phase {
  const sql = sqlStatement('partitions/note_not_detached.sql', { leaf_oid: String(oid) });
  return { kind: 'transaction', title: `Leave ${name}`, statements: [{ sql }] };
}

/** Makes the statement that ends a transaction, too, when it would detach the last leaf. */
export function guardAttached({ table }: LockScene, leaf: LeafFacts): Statement {
  return {
    sql: sqlStatement('partitions/guard_attached_leaf.sql', {
      table_oid: String(table.oid),
      leaf_oid: String(leaf.oid),
      schema: leaf.schema,
      leaf: leaf.name,
      bound: leaf.bound ?? '',
    }),
  };
}

/** Makes the statement that notes a leaf with its bounds in sensordb's own table. */
export function note(
  file: string,
  { table }: LockScene,
  { leaf, range }: Pick<DetachTask, 'leaf' | 'range'>,
  more: Readonly<Record<string, string>>,
): Statement {
  return {
    sql: sqlStatement(`partitions/${file}`, {
      parent_oid: String(table.oid),
      parent_schema: table.schema,
      parent: table.name,
      leaf_oid: String(leaf.oid),
      schema: leaf.schema,
      leaf: leaf.name,
      bound: leaf.bound ?? '',
      lower: timestampOf(range.lower),
      upper: timestampOf(range.upper),
      ...more,
    }),
  };
}

function timestampOf(instant: Instant): string {
  if (instant === BEGINNING) return '-infinity';
  return instant === END ? 'infinity' : formatBound(instant, 'timestamptz');
}

/** Lists the locks on a leaf and its own partitions. */
export function wholeLeaf(leaf: LeafFacts, mode: StepLock['mode']): readonly StepLock[] {
  return [leaf, ...leaf.below].map(({ schema, name }) => ({ relation: qualifiedName(schema, name), mode }));
}
