import { sqlStatement } from '../db/sql-files.ts';
import { altered, type Finding, type Member, onLeaf, refusing } from './drift.ts';
import { statisticsStatement } from './leaf-steps.ts';
import type { LeafTemplate } from './leaf-template.ts';
import type { TargetFound } from './repair-read.ts';
import type { TriggerFound } from './repair-read-rules.ts';

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
