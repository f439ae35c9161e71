import type { Style } from '../cli/style.ts';
import { printable, printableLines, tabSeparated } from '../cli/table.ts';
import { formatInstant, fromDate } from '../time/instant.ts';
import type { Finding, Severity } from './check.ts';
import type { Report } from './report.ts';
import { summarize } from './summary.ts';

/** Shows a report: for people on a terminal, tab-separated lines off it. */
export function renderReport(style: Style, report: Report): string {
  return style.isTerminal ? renderTable(style, report) : forPipe(report);
}

function forPipe({ findings, suppressed, baseline, passed, notYet }: Report): string {
  return tabSeparated([
    ...findings.map(({ severity, check, object, message, fixes }) => [
      severity,
      check,
      object,
      message,
      ...fixes.map(({ text }) => text),
    ]),
    ...suppressed.map(({ finding, by }) => [
      'suppressed',
      finding.check,
      finding.object,
      by.reason,
      by.until,
    ]),
    ...(baseline?.known ?? []).map(({ check, object, severity }) => ['known', check, object, severity]),
    ...(baseline?.resolved ?? []).map(({ check, object, severity }) => ['resolved', check, object, severity]),
    ...notYet.map(({ check, ripeAt, needs }) => [
      'not_yet',
      check,
      ripeAt === null ? null : formatInstant(fromDate(ripeAt)),
      ...(needs === undefined ? [] : [needs]),
    ]),
    ...passed.map((check) => ['passed', check]),
  ]);
}

/** Shows a report to people, wherever it goes. */
export function renderTable(style: Style, report: Report): string {
  const { chalk } = style;
  const { findings, baseline, notYet, database, table, versionNum } = report;
  const what = table === null ? database : table.qualified;
  const title = `${chalk.bold(printable(what))}  PostgreSQL ${Math.floor(versionNum / 10_000)}\n\n`;
  const found = findings.map((finding) => `${findingText(style, finding)}\n`);
  const resolved = (baseline?.resolved ?? []).map(
    ({ check, object }) => `${chalk.green('resolved')}  ${printable(object)}  ${chalk.dim(check)}\n`,
  );
  const later = notYet.map(({ check, ripeAt, needs }) => {
    if (needs !== undefined) return chalk.dim(`not yet: ${check}, it needs ${printable(needs)}\n`);
    const when = ripeAt === null ? '' : `, from ${formatInstant(fromDate(ripeAt))} on`;
    return chalk.dim(`not yet: ${check}${when}, when its statistics are old enough\n`);
  });
  return `${title}${[...found, ...resolved, ...later].join('')}${summarize(report)}.\n`;
}

/** What stands below the head of a finding is moved in, so that severities can be read down the edge. */
const INDENT = ' '.repeat(10);

function findingText(style: Style, { severity, check, object, message, fixes }: Finding): string {
  const { chalk } = style;
  const head = `${paint(style, severity)(severity.padEnd(8))}  ${chalk.bold(printable(object))}  ${chalk.dim(check)}\n`;
  const told = wrap(printable(message), Math.min(style.columns, 120) - INDENT.length).map(
    (line) => `${INDENT}${line}\n`,
  );
  // Never wrapped: they are there to be copied.
  const fix = fixes.flatMap(({ text }) =>
    printableLines(text)
      .split('\n')
      .map((line) => `${INDENT}${chalk.cyan(line)}\n`),
  );
  return `${head}${told.join('')}${fix.join('')}`;
}

/** Breaks a text into lines at its spaces; a word that is longer than a line has one of its own. */
function wrap(text: string, columns: number): readonly string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function paint({ chalk }: Style, severity: Severity): (text: string) => string {
  if (severity === 'critical') return chalk.red;
  return severity === 'info' ? chalk.cyan : chalk.yellow;
}
