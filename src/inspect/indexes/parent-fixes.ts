import { qualifiedName, quoteIdentifier } from '../../db/quote.ts';
import { nameIndexes } from '../../partitions/index-names.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { ParentPlace } from './parents.ts';

/** Attaches an index of a partition to that of its parent; said again, it makes that valid if all are. */
export function attachFixes({ index, rootTable }: ParentPlace, child: string): readonly Fix[] {
  return [{ ...sqlFix('repair', `alter index ${index} attach partition ${child}`), indexes: rootTable }];
}

/**
 * Builds the index of a partition and attaches it, where sensordb's own commands do not work.
 *
 * None is built CONCURRENTLY on a partition that is partitioned itself: PostgreSQL refuses that (14 to 18).
 */
export function buildFixes(place: ParentPlace): readonly Fix[] {
  const { partition, schema, name, kind, columns, constraintType, isUnique, definition } = place;
  if (partition === null) return [];
  const made = nameIndexes(name, [{ columns, constraintType }], new Set(place.taken))[0] as string;
  const isPlain = kind === 'r';
  if (!isPlain && constraintType !== null) return [];
  const create = `create ${isUnique ? 'unique ' : ''}index ${isPlain ? 'concurrently ' : ''}${quoteIdentifier(made)} on ${partition} using ${definition}`;
  const type = constraintType === 'p' ? 'primary key' : 'unique';
  const constraint = `alter table ${partition} add constraint ${quoteIdentifier(made)} ${type} using index ${quoteIdentifier(made)}`;
  return [
    sqlFix('repair', create),
    ...(constraintType === null ? [] : [sqlFix('repair', constraint)]),
    ...attachFixes(place, qualifiedName(schema, made)),
  ];
}
