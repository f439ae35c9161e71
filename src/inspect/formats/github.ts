import { printable } from '../../cli/table.ts';
import type { Finding, Severity } from '../check.ts';
import type { Report } from '../report.ts';
import { summarize } from '../summary.ts';

const COMMANDS: Readonly<Record<Severity, 'error' | 'warning' | 'notice'>> = {
  critical: 'error',
  warning: 'warning',
  unknown: 'warning',
  info: 'notice',
};

/** Shows a report as annotations of a GitHub workflow, and a line for its log. */
export function renderGithub(report: Report): string {
  // A name could begin as a workflow command does.
  return `${report.findings.map(annotationOf).join('')}sensordb inspect of ${printable(report.database)}: ${summarize(report)}.\n`;
}

/** The annotation of a run that came to no report. */
export function githubFailure(message: string): string {
  return annotation('error', 'sensordb inspect failed', message);
}

function annotationOf({ severity, check, object, message, fixes }: Finding): string {
  const fix = fixes.length === 0 ? '' : `\n\nFix:\n${fixes.map(({ text }) => text).join('\n')}`;
  return annotation(COMMANDS[severity], `${check} ${object}`, `${message}${fix}`);
}

/** A workflow command is one line; what would end it, or one of its properties, is written as the runner reads it back. */
function annotation(command: string, title: string, message: string): string {
  const property = escapeData(title).replaceAll(':', '%3A').replaceAll(',', '%2C');
  return `::${command} title=${property}::${escapeData(message)}\n`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}
