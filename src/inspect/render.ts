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

function forPipe({ findings, passed, notYet }: Report): string {
  return tabSeparated([
    ...findings.map(({ severity, check, object, message, fixes }) => [
      severity,
      check,
      object,
      message,
      ...fixes.map(({ text }) => text),
    ]),
    ...notYet.map(({ check, ripeAt }) => [
      'not_yet',
      check,
      ripeAt === null ? null : formatInstant(fromDate(ripeAt)),
    ]),
    ...passed.map((check) => ['passed', check]),
  ]);
}

/** Shows a report to people, wherever it goes. */
export function renderTable(style: Style, report: Report): string {
  const { chalk } = style;
  const { findings, notYet, database, table, versionNum } = report;
  const what = table === null ? database : table.qualified;
  const title = `${chalk.bold(printable(what))}  PostgreSQL ${Math.floor(versionNum / 10_000)}\n\n`;
  const found = findings.map((finding) => findingText(style, finding)).join('\n');
  const later = notYet.map(({ check, ripeAt }) => {
    const when = ripeAt === null ? '' : `, from ${formatInstant(fromDate(ripeAt))} on`;
    return chalk.dim(`not yet: ${check}${when}, when its statistics are old enough\n`);
  });
  return `${title}${found}${found === '' ? '' : '\n'}${later.join('')}${summarize(report)}.\n`;
}

function findingText(style: Style, { severity, check, object, message, fixes }: Finding): string {
  const { chalk } = style;
  const head = `${paint(style, severity)(severity.padEnd(8))}  ${chalk.bold(printable(object))}  ${chalk.dim(check)}\n`;
  const fix = fixes.map(
    ({ text }) => `          ${chalk.cyan(printableLines(text).replaceAll('\n', '\n          '))}\n`,
  );
  return `${head}          ${printable(message)}\n${fix.join('')}`;
}

function paint({ chalk }: Style, severity: Severity): (text: string) => string {
  if (severity === 'critical') return chalk.red;
  return severity === 'info' ? chalk.cyan : chalk.yellow;
}
