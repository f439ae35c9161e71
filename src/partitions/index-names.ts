import type { IndexTemplate } from './leaf-template.ts';
import { cutToBytes, fitName, NAME_BYTES } from './names.ts';

const KINDS: Readonly<Record<string, string>> = { p: '_pkey', u: '_key' };

/**
 * Names a leaf's indexes as PostgreSQL itself would, `leaf_pkey`, `leaf_device_id_timestamp_idx`, but so that no two are
 * the same once cut to 63 bytes; adds the names to `taken`.
 */
export function nameIndexes(
  leaf: string,
  indexes: readonly Pick<IndexTemplate, 'columns' | 'constraintType'>[],
  taken: Set<string>,
): readonly string[] {
  return indexes.map(({ columns, constraintType }) => {
    const kind = KINDS[constraintType ?? ''] ?? '_idx';
    const name = firstFree(leaf, constraintType === 'p' ? '' : `_${columns.join('_')}`, kind, taken);
    taken.add(name);
    return name;
  });
}

/** Leaves room for the leaf's name, its hash and a number. */
const LONGEST_COLUMNS = 24;

function firstFree(leaf: string, columns: string, kind: string, taken: ReadonlySet<string>): string {
  for (let number = 0; ; number += 1) {
    const end = kind + (number === 0 ? '' : String(number));
    const fits = Buffer.byteLength(leaf + columns + end) <= NAME_BYTES;
    const name = fitName(leaf, (fits ? columns : cutToBytes(columns, LONGEST_COLUMNS)) + end);
    if (!taken.has(name)) return name;
  }
}
