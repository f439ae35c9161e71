import { printable } from '../../cli/table.ts';
import { formatInstant, fromDate } from '../../time/instant.ts';
import type { KnownFinding } from '../baseline.ts';
import type { Finding, Severity } from '../check.ts';
import type { Fix } from '../fix.ts';
import type { Report } from '../report.ts';
import { summarize } from '../summary.ts';

const MARKS: Readonly<Record<Severity, string>> = {
  critical: '🔴 critical',
  warning: '🟡 warning',
  unknown: '⚪ unknown',
  info: '🔵 info',
};

/** Shows a report as Markdown for a pull request or a ticket: a table, and the fixes below it. */
export function renderMarkdown(report: Report): string {
  const { database, table, versionNum, now, findings } = report;
  const what = code(table === null ? database : `${database}: ${table.qualified}`);
  return [
    `### sensordb inspect ${what}\n`,
    `${summarize(report)}. PostgreSQL ${Math.floor(versionNum / 10_000)}, ${formatInstant(fromDate(now))}.\n`,
    findingsTable(findings),
    resolvedList(report.baseline?.resolved ?? []),
    fixesList(findings),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** The Markdown of a run that came to no report. */
export function markdownFailure(message: string): string {
  return `### sensordb inspect failed\n\n${escaped(message)}\n`;
}

function findingsTable(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  const rows = findings.map(
    ({ severity, object, check, message }) =>
      `| ${MARKS[severity]} | ${cell(code(object))} | ${check} | ${cell(escaped(message))} |\n`,
  );
  return `| | Object | Check | What |\n|---|---|---|---|\n${rows.join('')}`;
}

function resolvedList(resolved: readonly KnownFinding[]): string {
  return resolved.map(({ check, object }) => `- ✅ resolved: ${code(object)} ${check}\n`).join('');
}

function fixesList(findings: readonly Finding[]): string {
  const mended = findings.filter(({ fixes }) => fixes.length > 0);
  if (mended.length === 0) return '';
  const blocks = mended.map(
    ({ check, object, fixes }) => `**${check}** ${code(object)}\n\n${fixes.map(fixBlock).join('\n')}`,
  );
  return `<details><summary>Fixes</summary>\n\n${blocks.join('\n')}\n</details>\n`;
}

function fixBlock({ kind, text }: Fix): string {
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return kind === 'sql' ? `${fence}sql\n${text};\n${fence}\n` : `${fence}sh\n${text}\n${fence}\n`;
}

/** A code span ends at as many backticks as it begins with, and cannot begin or end with one of its own. */
function code(text: string): string {
  const shown = printable(text);
  const ticks = '`'.repeat(longestRun(shown) + 1);
  const pad = shown.startsWith('`') || shown.endsWith('`') ? ' ' : '';
  return `${ticks}${pad}${shown}${pad}${ticks}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
}

/** Text that stands for itself. An underscore within a word needs nothing: names stay readable. */
function escaped(text: string): string {
  return printable(text.replaceAll(/\s+/g, ' '))
    .replaceAll(/[\\`*[\]~#@]|(?<!\w)_|_(?!\w)/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;');
}

/** In a table a bar ends the cell, within code, too. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
