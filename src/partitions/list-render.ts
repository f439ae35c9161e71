import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import { formatInstant, formatInstantShort, type Instant, type Range } from '../time/instant.ts';
import { drawCoverage } from './coverage-picture.ts';
import type { ListedPartition, PartitionList } from './list-view.ts';
import { prettyBytes } from './pretty-bytes.ts';
import { describeRunway, runwayData } from './runway.ts';

/** Shows the list: a table, a picture and the runway on a terminal, tab-separated lines off it. */
export async function renderList(style: Style, list: PartitionList, now: Instant): Promise<string> {
  return style.isTerminal ? await forTerminal(style, list, now) : forPipe(list);
}

function forPipe(list: PartitionList): string {
  const { runwayState, runwayUntil } = runwayData(list.runway);
  return tabSeparated([
    ...list.partitions.map(({ schema, name, range, isDefault, state, rowsEstimate, bytes }) => [
      isDefault ? 'default' : 'partition',
      schema,
      name,
      range === null ? null : formatInstant(range.lower),
      range === null ? null : formatInstant(range.upper),
      state,
      rowsEstimate,
      bytes,
    ]),
    ...list.detached.map(({ schema, name, range, detachedAt, detachedBy, bytes }) => [
      'detached',
      schema,
      name,
      formatInstant(range.lower),
      formatInstant(range.upper),
      formatInstant(detachedAt),
      detachedBy,
      bytes,
    ]),
    ...list.gaps.map(({ lower, upper }) => ['gap', formatInstant(lower), formatInstant(upper)]),
    ['runway', runwayState, runwayUntil],
    ...(list.hasDefault ? [['default_rows', list.defaultRows, defaultExactness(list)]] : []),
  ]);
}

function defaultExactness({ defaultRows, defaultRowsExact }: PartitionList): string {
  if (defaultRows === null) return 'unknown';
  return defaultRowsExact ? 'exact' : 'at_least';
}

async function forTerminal(style: Style, list: PartitionList, now: Instant): Promise<string> {
  const { chalk } = style;
  const { table, partitions, gaps, runway } = list;
  const largest = Math.max(1, ...partitions.map(({ bytes }) => bytes ?? 0));
  const lines = await drawTable(
    style,
    [
      { title: 'partition' },
      { title: 'from' },
      { title: 'to (exclusive)' },
      { title: 'rows (est.)', align: 'right' },
      { title: 'size', align: 'right' },
      { title: '' },
      { title: 'state' },
    ],
    partitions.map((partition) => tableRow(style, partition, largest)),
  );
  const heading = `${chalk.bold(printable(table.qualified))}  range by ${printable(table.key)} (${table.keyType}), ${partitions.length} partitions\n\n`;
  const gapLines = gaps.map(({ lower, upper }) =>
    chalk.red(`Gap: ${formatInstantShort(lower)} to ${formatInstantShort(upper)}, ${gapMeans(list)}\n`),
  );
  const runwayLine = describeRunway(runway, now, list.hasDefault);
  const coloured = runway.state === 'none' ? chalk.red(runwayLine) : runwayLine;
  const picture = drawCoverage(style, list.covered, pendingRanges(partitions), now);
  return `${heading}${lines}\n${picture}${gapLines.join('')}${defaultLine(style, list)}${coloured}\n${await detachedTable(style, list)}`;
}

async function detachedTable(style: Style, { detached }: PartitionList): Promise<string> {
  if (detached.length === 0) return '';
  const lines = await drawTable(
    style,
    [
      { title: 'detached' },
      { title: 'from' },
      { title: 'to (exclusive)' },
      { title: 'size', align: 'right' },
      { title: 'schema' },
      { title: 'when' },
      { title: 'by' },
    ],
    detached.map(({ schema, name, range, detachedAt, detachedBy, bytes }) => [
      printable(name),
      formatInstantShort(range.lower),
      formatInstantShort(range.upper),
      bytes === null ? style.chalk.yellow('locked') : prettyBytes(bytes),
      printable(schema),
      (formatInstant(detachedAt) ?? '').slice(0, 'YYYY-MM-DD'.length),
      printable(detachedBy),
    ]),
  );
  return `\n${lines}`;
}

function gapMeans({ hasDefault }: PartitionList): string {
  return hasDefault ? 'its rows go to DEFAULT.' : 'inserts into it fail.';
}

function pendingRanges(partitions: readonly ListedPartition[]): readonly Range[] {
  return partitions.flatMap(({ range, state }) =>
    range !== null && state === 'detach_pending' ? [range] : [],
  );
}

function defaultLine({ chalk }: Style, { hasDefault, defaultRows, defaultRowsExact }: PartitionList): string {
  if (!hasDefault) return 'DEFAULT: there is none.\n';
  if (defaultRows === null) return chalk.yellow('DEFAULT: not counted.\n');
  if (defaultRows === 0) return 'DEFAULT: empty.\n';
  const count = `${defaultRowsExact ? '' : 'at least '}${defaultRows.toLocaleString('en-US')}`;
  return chalk.yellow(
    `DEFAULT: ${count} ${defaultRows === 1 ? 'row' : 'rows'} that no other partition covers.\n`,
  );
}

function tableRow(style: Style, partition: ListedPartition, largest: number): readonly string[] {
  const { name, range, rowsEstimate, bytes, state } = partition;
  const { chalk } = style;
  return [
    printable(name),
    range === null ? chalk.dim('DEFAULT') : formatInstantShort(range.lower),
    range === null ? '' : formatInstantShort(range.upper),
    rowsEstimate === null ? chalk.dim('not analyzed') : rowsEstimate.toLocaleString('en-US'),
    bytes === null ? chalk.yellow('locked') : prettyBytes(bytes),
    bytes === null ? '' : chalk.cyan(bar(bytes / largest, style.unicode)),
    state === 'attached' ? chalk.dim('attached') : chalk.red('detach pending'),
  ];
}

const BAR_CELLS = 14;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** Draws a share of the largest as a bar, to an eighth of a cell where the terminal can. */
function bar(share: number, unicode: boolean): string {
  const eighths = Math.round(share * BAR_CELLS * 8);
  const full = Math.floor(eighths / 8);
  if (!unicode) return '#'.repeat(Math.round(eighths / 8));
  return '█'.repeat(full) + (EIGHTHS[eighths % 8] ?? '');
}
