import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import { formatInstant, formatInstantShort, type Instant } from '../time/instant.ts';
import type { DrainResult, PreparedDrain } from './drain-whole.ts';

/** Shows what became of the rows of DEFAULT: a table on a terminal, tab-separated lines off it. */
export async function renderDrain(
  style: Style,
  prepared: PreparedDrain,
  result: DrainResult,
): Promise<string> {
  return style.isTerminal ? await forTerminal(style, prepared, result) : forPipe(prepared, result);
}

function forPipe({ quarantine }: PreparedDrain, result: DrainResult): string {
  const { drained, conflicts, left, quarantined, defaultRows } = result;
  const iso = (end: Instant | null) => (end === null ? null : formatInstant(end));
  return tabSeparated([
    ...drained.map(({ leaf: { name, range }, rows }) => [
      'drained',
      name,
      formatInstant(range.lower),
      formatInstant(range.upper),
      String(rows),
    ]),
    ...left.map(({ reason, lower, upper, rows }) => [
      'left',
      reason,
      iso(lower),
      iso(upper),
      String(rows.count),
    ]),
    ...conflicts.map(({ range, reason, message, hint }) => [
      'conflict',
      reason,
      formatInstant(range.lower),
      formatInstant(range.upper),
      message,
      hint,
    ]),
    ...(quarantine === null || quarantined === null
      ? []
      : [['quarantined', quarantine.to.name, String(quarantined)]]),
    ['default', defaultRows === null ? null : String(defaultRows)],
  ]);
}

async function forTerminal(style: Style, prepared: PreparedDrain, result: DrainResult): Promise<string> {
  const { chalk } = style;
  const { table, partitions, quarantine } = prepared;
  const { drained, conflicts, left, quarantined, defaultRows } = result;
  if (partitions.default === null)
    return `${printable(table.qualified)} has no DEFAULT partition: nothing to drain.\n`;
  const short = (end: Instant | null) => (end === null ? '' : formatInstantShort(end));
  const lines = [
    ...drained.map(({ leaf: { name, range }, rows }) => ({
      name,
      ...range,
      rows,
      what: chalk.green('drained'),
    })),
    ...left.map(({ reason, lower, upper, rows }) => ({
      name: '',
      lower,
      upper,
      rows: rows.count,
      what: chalk.yellow(reason),
    })),
    ...conflicts.map(({ range, reason, rows }) => ({
      name: '',
      ...range,
      rows: rows?.count ?? null,
      what: chalk.red(reason),
    })),
  ];
  const drawn =
    lines.length === 0
      ? ''
      : await drawTable(
          style,
          [
            { title: 'partition' },
            { title: 'from' },
            { title: 'to (exclusive)' },
            { title: 'rows', align: 'right' },
            { title: '' },
          ],
          lines.map(({ name, lower, upper, rows, what }) => [
            printable(name),
            short(lower),
            short(upper),
            rows === null ? '' : rows.toLocaleString('en'),
            what,
          ]),
        );
  const problems = conflicts
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('conflict:')} ${printable(message)}\n${chalk.cyan('hint:')} ${printable(hint)}\n`,
    )
    .join('');
  const aside =
    quarantine === null || quarantined === null
      ? ''
      : `\n${quarantined.toLocaleString('en')} rows moved into ${printable(quarantine.to.name)}, out of the partitioned table.\n`;
  const title = `${chalk.bold(printable(table.qualified))}\n\n`;
  return `${title}${drawn}${problems}${aside}\nDEFAULT holds ${(defaultRows ?? 0).toLocaleString('en')} rows.\n`;
}
