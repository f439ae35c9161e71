import type { Finding } from '../check.ts';
import { SEVERITIES } from '../check.ts';
import type { Report } from '../report.ts';
import { countBySeverity } from '../summary.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Help texts; every file of a textfile collector must give a metric the same one. */
const HELP = {
  sensordb_inspect_up: 'Whether the last run of sensordb inspect came to an answer.',
  sensordb_inspect_last_run_timestamp_seconds: 'When the last run of sensordb inspect began.',
  sensordb_inspect_findings: 'Findings of the last run, by severity.',
  sensordb_inspect_finding: 'Findings of the last run one by one, by what they were found on.',
  sensordb_inspect_suppressed: 'Findings of the last run that the suppression file leaves out.',
  sensordb_inspect_checks_passed: 'Checks of the last run that saw all there is and found nothing.',
  sensordb_inspect_checks_not_yet: 'Checks of the last run whose statistics were too young to judge by.',
} as const;

/** Shows a report in the text exposition format, as the textfile collector of node_exporter reads it. */
export function renderPrometheus(report: Report): string {
  const { database, table, findings, suppressed, passed, notYet, now } = report;
  const scope = { database, ...(table === null ? {} : { table: table.qualified }) };
  const counts = countBySeverity(findings);
  const one = (value: number): readonly Sample[] => [{ labels: scope, value }];
  return [
    metric('sensordb_inspect_up', one(1)),
    metric('sensordb_inspect_last_run_timestamp_seconds', one(now.getTime() / 1000)),
    metric(
      'sensordb_inspect_findings',
      SEVERITIES.map((severity) => ({ labels: { ...scope, severity }, value: counts[severity] })),
    ),
    metric('sensordb_inspect_finding', findingSamples(findings, scope)),
    metric('sensordb_inspect_suppressed', one(suppressed.length)),
    metric('sensordb_inspect_checks_passed', one(passed.length)),
    metric('sensordb_inspect_checks_not_yet', one(notYet.length)),
  ].join('');
}

/** The metrics of a run that came to no report: what it found the last time is not on show any more. */
export function prometheusFailure(now: Date): string {
  return [
    metric('sensordb_inspect_up', [{ labels: {}, value: 0 }]),
    metric('sensordb_inspect_last_run_timestamp_seconds', [{ labels: {}, value: now.getTime() / 1000 }]),
  ].join('');
}

/** Two samples with the same labels would make the whole file unreadable: such findings are counted. */
function findingSamples(findings: readonly Finding[], scope: Sample['labels']): readonly Sample[] {
  const samples = new Map<string, Sample>();
  for (const { check, area, severity, object } of findings) {
    const labels = { ...scope, check, area, severity, object };
    const key = JSON.stringify(labels);
    samples.set(key, { labels, value: (samples.get(key)?.value ?? 0) + 1 });
  }
  return [...samples.values()];
}

function metric(name: keyof typeof HELP, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels, value }) => `${name}${labelSet(labels)} ${value}\n`);
  return `# HELP ${name} ${HELP[name]}\n# TYPE ${name} gauge\n${lines.join('')}`;
}

function labelSet(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

function escapeLabel(value: string): string {
  return value.replaceAll(/[\\"\n]/g, (character) => ESCAPES[character] ?? character);
}
