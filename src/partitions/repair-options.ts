import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { altered, type Finding, type Member, onLeaf, type Statement } from './drift.ts';
import { splitOption } from './leaf-steps.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { guardIndex } from './repair-guard.ts';
import type { IndexOptions } from './repair-read-index-state.ts';
import type { IndexName } from './repair-read-indexes.ts';

// Switched off for a bulk load on the newest leaf, it would spread to all the others.
const NEVER_SPREAD: ReadonlySet<string> = new Set(['autovacuum_enabled']);

/**
 * Finds the storage parameters that the newest leaf has and another lacks.
 *
 * A parameter that the other has alone, or with another value, is left: old leaves are tuned otherwise than the newest.
 */
export function compareStorage(member: Member, template: LeafTemplate): readonly Finding[] {
  if (member.kind !== 'plain') return [];
  const lists = [
    { wanted: template.options, found: member.options, prefix: '', file: 'set_storage_option.sql' },
    {
      wanted: member.hasToast ? template.toastOptions : [],
      found: member.toastOptions,
      prefix: 'toast.',
      file: 'set_toast_option.sql',
    },
  ];
  return lists.flatMap(({ wanted, found, prefix, file }) =>
    missingOptions(wanted, found).map((option) =>
      altered(
        member,
        {
          kind: 'storage_parameters',
          what: prefix + option.option,
          expected: option.value,
          found: 'missing',
        },
        {
          sql: sqlStatement(`partitions/${file}`, { schema: member.schema, leaf: member.name, ...option }),
          // As AlterTableGetRelOptionsLockLevel has it: all others can be set beside readers and writers.
          locks: onLeaf(
            member,
            option.option === 'user_catalog_table' ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
          ),
        },
      ),
    ),
  );
}

/** Finds the storage parameters that the newest leaf's index has, or the table's own, and another leaf's lacks. */
export function compareIndexOptions(member: Member, indexes: readonly IndexOptions[]): readonly Finding[] {
  return indexes.flatMap((index) =>
    missingOptions(index.wanted, index.options).map((option) =>
      altered(
        member,
        {
          kind: 'index_options',
          what: `${option.option} of index ${index.name}`,
          expected: option.value,
          found: 'missing',
        },
        setIndexOption(index, option),
        guardIndex(member, index),
      ),
    ),
  );
}

// These two can be set beside writers; the others want ACCESS EXCLUSIVE on the index (AlterTableGetRelOptionsLockLevel, 14 to 18).
const GENTLE_INDEX_OPTIONS: ReadonlySet<string> = new Set(['fillfactor', 'deduplicate_items']);

interface Option {
  readonly option: string;
  readonly value: string;
}

/** Makes the statement that sets one storage parameter of an index. */
export function setIndexOption({ schema, name: index }: IndexName, option: Option): Statement {
  const mode = GENTLE_INDEX_OPTIONS.has(option.option) ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
  return {
    sql: sqlStatement('partitions/set_index_option.sql', { schema, index, ...option }),
    locks: [{ relation: qualifiedName(schema, index), mode }],
  };
}

/** Lists the wanted parameters of which there is none by that name; of two with one name the first counts. */
export function missingOptions(wanted: readonly string[], found: readonly string[]): readonly Option[] {
  const known = new Set(found.map((option) => splitOption(option).option));
  return wanted.map(splitOption).filter(({ option }) => {
    if (known.has(option) || NEVER_SPREAD.has(option)) return false;
    known.add(option);
    return true;
  });
}
