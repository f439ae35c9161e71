import type { PartitionedTable } from '../db/catalog.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { addCheck } from './bound-text.ts';
import type { DetachedLeaf } from './detached.ts';
import type { LeafFacts } from './leaf-facts.ts';
import { guard, wholeLeaf } from './leaf-statements.ts';
import type { Phase, Statement } from './leaf-work.ts';
import type { LockScene } from './locks.ts';
import { cutToBytes, fitName, NAME_BYTES } from './names.ts';

/** The CHECK on the bounds of a leaf. */
export interface BoundCheck {
  readonly name: string;
  readonly isValid: boolean;
}

/** Gives the CHECK of a noted leaf; null when it has none. */
export function checkOf({
  checkName,
  checkIsValid,
}: Pick<DetachedLeaf, 'checkName' | 'checkIsValid'>): BoundCheck | null {
  return checkName === null ? null : { name: checkName, isValid: checkIsValid };
}

/** Makes the phases that give a detached leaf its validated CHECK, if it lacks it. */
export function checkPhases(
  scene: LockScene,
  leaf: LeafFacts,
  bound: string,
  check: BoundCheck | null,
): readonly Phase[] {
  const name = check?.name ?? chooseCheckName(leaf, scene.table);
  if (check !== null) return check.isValid ? [] : [validatePhase(leaf, name)];
  const noted = sqlStatement('partitions/note_check.sql', { leaf_oid: String(leaf.oid), check_name: name });
  return addCheckPhases(scene, leaf, bound, name, [{ sql: noted }]);
}

/** Makes the phases that add the CHECK to a table and validate it; `notes` goes with it. */
export function addCheckPhases(
  scene: LockScene,
  leaf: LeafFacts,
  bound: string,
  name: string,
  notes: readonly Statement[],
): readonly Phase[] {
  const statements: readonly Statement[] = [
    guard(scene, leaf, 'detached'),
    ...notes,
    {
      sql: addCheck(leaf.relation, scene.table, bound, name),
      locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
    },
    // By now nobody can rename it, and it is known which table has got the CHECK.
    guard(scene, leaf, 'detached'),
  ];
  return [{ kind: 'transaction', title: `Check ${leaf.name}`, statements }, validatePhase(leaf, name)];
}

function validatePhase(leaf: LeafFacts, check: string): Phase {
  const names = { schema: leaf.schema, leaf: leaf.name, check };
  const sql = sqlStatement('partitions/validate_check.sql', names);
  const locks = wholeLeaf(leaf, 'SHARE UPDATE EXCLUSIVE');
  return { kind: 'transaction', title: `Check ${leaf.name}`, statements: [{ sql, locks }] };
}

/** Chooses a name for the CHECK as PostgreSQL does, `<leaf>_<key>_check`, that the leaf has not given to another. */
export function chooseCheckName(leaf: LeafFacts, table: PartitionedTable): string {
  const base = fitName(`${leaf.name}_${table.key}`, '_check');
  for (let number = 0; ; number += 1) {
    const suffix = number === 0 ? '' : String(number);
    const name = `${cutToBytes(base, NAME_BYTES - suffix.length)}${suffix}`;
    if (!leaf.constraints.includes(name)) return name;
  }
}
