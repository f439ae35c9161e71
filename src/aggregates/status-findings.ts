import { qualifiedName } from '../db/quote.ts';
import { formatInstantShort, type Instant } from '../time/instant.ts';
import type { MemberTrigger } from './status-triggers.ts';
import type { StatusInput } from './status-view.ts';

/** Something that keeps aggregates from being right, or from being known to be. */
export interface Finding {
  readonly check: 'not_set_up' | 'nothing_clean' | 'trigger' | 'foreign_leaf' | 'lag';
  readonly severity: 'critical' | 'warning';
  readonly object: string;
  readonly message: string;
  /** What to run: SQL, or a command of sensordb. */
  readonly fix: readonly string[];
}

/** Lists what is wrong with the aggregates; pure. */
export function findingsOf(
  { source, facts, maxLagSeconds }: StatusInput,
  { cleanUntil, lagSeconds }: { readonly cleanUntil: Instant | null; readonly lagSeconds: number | null },
): readonly Finding[] {
  const object = source.table.qualified;
  if (facts === null) return [notSetUp(object)];
  const findings: Finding[] = [
    ...triggerFindings(object, facts.triggers),
    ...foreignFindings(facts.triggers),
  ];
  // Where changes are not logged, that is why.
  if (cleanUntil === null && findings.length === 0) findings.push(nothingClean(object));
  if (maxLagSeconds !== null && (lagSeconds === null || lagSeconds > maxLagSeconds)) {
    const lag =
      cleanUntil === null || lagSeconds === null
        ? 'by an unknown time'
        : `by ${lagSeconds.toLocaleString('en-US')} s, clean until ${formatInstantShort(cleanUntil)}`;
    findings.push({
      check: 'lag',
      severity: 'warning',
      object,
      message: `The aggregates lag ${lag}: more than ${maxLagSeconds.toLocaleString('en-US')} s.`,
      fix: ['sensordb aggregates refresh'],
    });
  }
  return findings;
}

function notSetUp(object: string): Finding {
  return {
    check: 'not_set_up',
    severity: 'warning',
    object,
    message: `No aggregates are kept of ${object} yet.`,
    fix: ['sensordb aggregates backfill'],
  };
}

function nothingClean(object: string): Finding {
  return {
    check: 'nothing_clean',
    severity: 'warning',
    object,
    message: `The history of ${object} is still to be counted from its beginning on.`,
    fix: ['sensordb aggregates backfill'],
  };
}

const STATES: Readonly<Record<NonNullable<MemberTrigger['state']>, string>> = {
  missing: 'is missing',
  disabled: 'is disabled',
  replica: 'fires in sessions of session_replication_role replica alone',
  origin: 'does not fire in sessions of session_replication_role replica',
};

/** What is wrong on the table itself is so on all leaves, and mended there with it. */
function triggerFindings(object: string, triggers: readonly MemberTrigger[]): readonly Finding[] {
  const troubled = triggers.filter(({ state }) => state !== null);
  const onTable = new Set(troubled.filter(({ isTable }) => isTable).map(({ trigger }) => trigger));
  const shown = troubled.filter(({ isTable, trigger }) => isTable || !onTable.has(trigger));
  const byMember = new Map<string, MemberTrigger[]>();
  for (const one of shown) {
    const name = qualifiedName(one.schema, one.name);
    byMember.set(name, [...(byMember.get(name) ?? []), one]);
  }
  return [...byMember].map(([name, list]) => {
    const what = list.map(({ trigger, state }) => `${trigger} ${STATES[state ?? 'missing']}`).join(', ');
    const consequence =
      name === object
        ? 'changes are not logged'
        : 'its hours are counted anew by every refresh, and never clean';
    return {
      check: 'trigger',
      severity: 'critical',
      object: name,
      message: `On ${name} ${what}: ${consequence}.`,
      fix: list.some(({ isTable, state }) => isTable || state === 'missing')
        ? ['sensordb aggregates refresh']
        : list.map(({ trigger }) => `alter table ${name} enable always trigger ${trigger}`),
    };
  });
}

function foreignFindings(triggers: readonly MemberTrigger[]): readonly Finding[] {
  return triggers
    .filter(({ isForeign, trigger }) => isForeign && trigger === null)
    .map(({ schema, name }) => {
      const object = qualifiedName(schema, name);
      return {
        check: 'foreign_leaf',
        severity: 'warning',
        object,
        message: `${object} is a foreign table: nobody sees what is changed on its own server. Its hours are counted anew by every refresh, and never clean.`,
        fix: [],
      };
    });
}
