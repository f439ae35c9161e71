import { qualifiedName } from '../db/quote.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { altered, type Finding, type Member, onLeaf, refusing, type Statement } from './drift.ts';
import { splitOption, statisticsStatement } from './leaf-steps.ts';
import type { LeafTemplate } from './leaf-template.ts';
import type { TargetFound, TriggerFound } from './repair-read.ts';
import type { IndexOptions } from './repair-read-indexes.ts';

/** Finds a leaf that belongs to another role than its parent. */
export function compareOwner(member: Member, { owner }: LeafTemplate): readonly Finding[] {
  if (member.owner === owner) return [];
  const { schema, name: leaf } = member;
  return [
    altered(
      member,
      { kind: 'owner', what: 'owner', expected: owner, found: member.owner },
      {
        sql: sqlStatement('partitions/set_owner.sql', { schema, leaf, owner }),
        locks: onLeaf(member, 'ACCESS EXCLUSIVE'),
      },
    ),
  ];
}

/** Finds the columns of a leaf with another statistics target than their parent's. */
export function compareTargets(member: Member, targets: readonly TargetFound[]): readonly Finding[] {
  const spell = (target: number): string => (target === -1 ? 'default' : String(target));
  return targets.map(({ column, expected, found }) =>
    altered(
      member,
      {
        kind: 'statistics_targets',
        what: `column ${column}`,
        expected: spell(expected),
        found: spell(found),
      },
      {
        sql: statisticsStatement(member.qualified, column, expected),
        locks: onLeaf(member, 'SHARE UPDATE EXCLUSIVE'),
      },
    ),
  );
}

const TRIGGER_STATES: Readonly<Record<string, { readonly word: string; readonly file: string }>> = {
  O: { word: 'enabled', file: 'enable_trigger.sql' },
  D: { word: 'disabled', file: 'disable_trigger.sql' },
  R: { word: 'enabled for replicas', file: 'enable_trigger_replica.sql' },
  A: { word: 'enabled always', file: 'enable_trigger_always.sql' },
};

/** Finds the triggers of a leaf that are missing, or enabled otherwise than on its parent. */
export function compareTriggers(
  member: Member,
  triggers: readonly TriggerFound[],
  mayTouchSystemTriggers: boolean,
): readonly Finding[] {
  const { schema, name: leaf, qualified, parentQualified } = member;
  return triggers.map(({ name, expected, found, isForeignKey }) => {
    const drift = {
      kind: 'triggers',
      what: `trigger ${name}`,
      expected: TRIGGER_STATES[expected]?.word ?? expected,
      found: found === null ? 'missing' : (TRIGGER_STATES[found]?.word ?? found),
    } as const;
    if (found === null) {
      return refusing(member, drift, {
        reason: 'trigger_missing',
        message: `${qualified} has no copy of the trigger ${name} of ${parentQualified}, and only ATTACH makes one.`,
        hint: `Detach the leaf and attach it again: ATTACH copies the row triggers of ${parentQualified}.`,
      });
    }
    if (isForeignKey && !mayTouchSystemTriggers) {
      return refusing(member, drift, {
        reason: 'system_trigger',
        message: `${name} on ${qualified} enforces a foreign key and is ${drift.found}: only a superuser may change that.`,
        hint: `As a superuser: ALTER TABLE ONLY ${qualified} ENABLE TRIGGER ALL. Then look for rows that break the key.`,
      });
    }
    const { file } = TRIGGER_STATES[expected] as { file: string };
    return altered(member, drift, {
      sql: sqlStatement(`partitions/${file}`, { schema, leaf, trigger: name }),
      locks: onLeaf(member, 'SHARE ROW EXCLUSIVE'),
    });
  });
}

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
export function setIndexOption(
  { schema, name: index }: { readonly schema: string; readonly name: string },
  option: Option,
): Statement {
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
