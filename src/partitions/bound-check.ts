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
  const title = `Check ${leaf.name}`;
  const name = check?.name ?? chooseCheckName(leaf, scene.table);
  const validate: Phase = {
    kind: 'transaction',
    title,
    statements: [
      {
        sql: sqlStatement('partitions/validate_check.sql', {
          schema: leaf.schema,
          leaf: leaf.name,
          check: name,
        }),
        locks: wholeLeaf(leaf, 'SHARE UPDATE EXCLUSIVE'),
      },
    ],
  };
  if (check !== null) return check.isValid ? [] : [validate];
  const statements: readonly Statement[] = [
    guard(scene, leaf, 'detached'),
    {
      sql: sqlStatement('partitions/note_check.sql', { leaf_oid: String(leaf.oid), check_name: name }),
    },
    {
      sql: addCheck(leaf.relation, scene.table, bound, name),
      locks: wholeLeaf(leaf, 'ACCESS EXCLUSIVE'),
    },
  ];
  return [{ kind: 'transaction', title, statements }, validate];
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
