import { type Finding, SEVERITIES, type Severity } from './check.ts';
import type { Report } from './report.ts';

/** How many findings of each severity there are. */
export function countBySeverity(findings: readonly Finding[]): Readonly<Record<Severity, number>> {
  const counts = { critical: 0, warning: 0, unknown: 0, info: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}

const NAMES: Readonly<Record<Severity, readonly [one: string, many: string]>> = {
  critical: ['critical', 'critical'],
  warning: ['warning', 'warnings'],
  unknown: ['unknown', 'unknown'],
  info: ['note', 'notes'],
};

/** Says in one line, without a full stop, what a report comes to: `1 critical, 2 warnings, 30 checks passed`. */
export function summarize({ findings, passed, notYet, suppressed, baseline }: Report): string {
  const counts = countBySeverity(findings);
  return [
    ...SEVERITIES.map((severity) => {
      const [one, many] = NAMES[severity];
      return counts[severity] === 0 ? '' : `${counts[severity]} ${counts[severity] === 1 ? one : many}`;
    }),
    `${passed.length} ${passed.length === 1 ? 'check' : 'checks'} passed`,
    notYet.length === 0 ? '' : `${notYet.length} not yet`,
    suppressed.length === 0 ? '' : `${suppressed.length} suppressed`,
    baseline === null || baseline.known.length === 0 ? '' : `${baseline.known.length} known before`,
    baseline === null || baseline.resolved.length === 0 ? '' : `${baseline.resolved.length} resolved`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}
