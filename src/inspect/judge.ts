import type { Warning } from '../cli/output.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { type Baseline, compareWith } from './baseline.ts';
import type { Check } from './check.ts';
import { LOCKED } from './locked.ts';
import type { Report } from './report.ts';
import type { Inspected } from './run.ts';
import type { Settings } from './settings.ts';
import { type Suppression, sift } from './suppressions.ts';

type Judged = Pick<Report, 'findings' | 'suppressed' | 'baseline'>;

/** Takes out of what was found what is suppressed, and what was known before; says what of that is not as it should be. */
export function judge(
  inspected: Inspected,
  { checks, suppressions, baseline }: Settings,
  table: PartitionedTable | null,
  now: Date,
): Judged & { readonly warnings: readonly Warning[] } {
  const judged = judgedChecks(inspected, checks);
  const isRun = (name: string) => checks.find((check) => check.name === name)?.area ?? null;
  const areaOf = (name: string) => (name === LOCKED ? 'activity' : isRun(name));
  const { findings, suppressed, unused } = sift(inspected.findings, suppressions, now, { judged, areaOf });
  // What a run on one table does not match may be there for another.
  const warnings = [...endless(suppressions), ...(table === null ? unused.map(unusedWarning) : [])];
  if (baseline === null) return { findings, suppressed, baseline: null, warnings };
  const isSame = isSameScope(baseline, table);
  const { fresh, known, resolved } = compareWith(baseline, findings, {
    all: inspected.findings,
    judged: isSame ? judged : new Set(),
  });
  return {
    findings: fresh,
    suppressed,
    baseline: { known, resolved },
    warnings: isSame ? warnings : [...warnings, OTHER_SCOPE],
  };
}

/** The checks that could look at all there is: what they did not find is not there. */
function judgedChecks({ findings, notYet, blind }: Inspected, checks: readonly Check[]): ReadonlySet<string> {
  const unclear = new Set([
    ...blind,
    ...notYet.map(({ check }) => check),
    ...findings.filter(({ severity }) => severity === 'unknown').map(({ check }) => check),
  ]);
  const judged = checks.filter(({ name, opens }) => !unclear.has(name) && !(opens && unclear.has(LOCKED)));
  return new Set(judged.map(({ name }) => name));
}

function isSameScope({ table: then }: Baseline, now: PartitionedTable | null): boolean {
  return then?.schema === now?.schema && then?.name === now?.name;
}

const OTHER_SCOPE: Warning = {
  code: 'baseline_of_other_scope',
  message: 'The baseline is of another --table: what is resolved cannot be told.',
};

function unusedWarning({ check, object, place }: Suppression): Warning {
  return {
    code: 'suppression_unused',
    message: `The suppression of ${check} on ${object} (${place}) matched nothing: take it out, or mend it.`,
  };
}

function endless(suppressions: readonly Suppression[]): readonly Warning[] {
  return suppressions
    .filter(({ until }) => until === null)
    .map(({ check, object, place }) => ({
      code: 'suppression_without_end',
      message: `The suppression of ${check} on ${object} (${place}) has no end: give it one, until: 2026-12-31 for example.`,
    }));
}
