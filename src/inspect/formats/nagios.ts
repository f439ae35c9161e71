import { printable } from '../../cli/table.ts';
import type { Report } from '../report.ts';
import { countBySeverity, summarize } from '../summary.ts';

/** The exit codes of a monitoring plugin, which are not those of sensordb (Monitoring Plugins Development Guidelines). */
const NAGIOS = { ok: 0, warning: 1, critical: 2, unknown: 3 } as const;

type State = keyof typeof NAGIOS;

/** How many findings the status line names; the rest of it is counted. */
const MOST_NAMED = 3;

/** The exit code of a report as a plugin's. */
export function nagiosExitCode(report: Report): (typeof NAGIOS)[State] {
  return NAGIOS[stateOf(report)];
}

/** Shows a report as one status line with performance data. */
export function renderNagios(report: Report): string {
  const { findings } = report;
  const named = findings
    .filter(({ severity }) => severity !== 'info')
    .slice(0, MOST_NAMED)
    .map(({ check, object }) => `${check} ${object}`);
  const left = findings.filter(({ severity }) => severity !== 'info').length - named.length;
  const more = left > 0 ? [`${left} more`] : [];
  const text = [summarize(report), ...named, ...more].join('; ');
  return `${statusLine(stateOf(report), `${report.database}: ${text}`)} | ${perfdata(report)}\n`;
}

/** The status line and exit code of a run that came to no report. */
export function nagiosFailure(message: string) {
  return { text: `${statusLine('unknown', message)}\n`, exitCode: NAGIOS.unknown };
}

/** --fail-on critical makes warnings and what is unknown no trouble, as it does for the other formats. */
function stateOf({ findings, failOn }: Report): State {
  const counts = countBySeverity(findings);
  if (counts.critical > 0) return 'critical';
  if (failOn === 'critical') return 'ok';
  if (counts.warning > 0) return 'warning';
  return counts.unknown > 0 ? 'unknown' : 'ok';
}

/** A bar would begin the performance data, a line end the long output. */
function statusLine(state: State, text: string): string {
  return `SENSORDB ${state.toUpperCase()} - ${printable(text.replaceAll(/\s+/g, ' ')).replaceAll('|', '/')}`;
}

/** `label=value;warn;crit;min`: a range of 0 alerts at anything above. */
function perfdata({ findings, passed, notYet, suppressed, failOn }: Report): string {
  const { critical, warning, unknown, info } = countBySeverity(findings);
  const warns = failOn === 'warning' ? '0' : '';
  return [
    `critical=${critical};;0;0`,
    `warning=${warning};${warns};;0`,
    `unknown=${unknown};${warns};;0`,
    `info=${info};;;0`,
    `passed=${passed.length};;;0`,
    `not_yet=${notYet.length};;;0`,
    `suppressed=${suppressed.length};;;0`,
  ].join(' ');
}
