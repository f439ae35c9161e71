import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { formatInstant, formatInstantShort } from '../time/instant.ts';
import type { DropWork } from './drop.ts';
import { freedBytes } from './drop-confirm.ts';
import type { Kept } from './drop-plan.ts';
import type { Refusal } from './gate.ts';
import { prettyBytes } from './pretty-bytes.ts';

/** What is shown of a run of `partitions drop`. */
export interface DropView {
  readonly table: PartitionedTable;
  /** What became of the leaves that may go: nothing, if it was not confirmed. */
  readonly what: 'dropped' | 'to drop';
  readonly leaves: readonly DropWork[];
  readonly refused: readonly Refusal[];
  readonly kept: readonly Kept[];
  readonly already: readonly string[];
}

/** Shows a run: a table on a terminal, tab-separated lines off it. */
export async function renderDrop(style: Style, view: DropView): Promise<string> {
  return style.isTerminal ? await forTerminal(style, view) : forPipe(view);
}

function forPipe({ what, leaves, refused, kept, already }: DropView): string {
  return tabSeparated([
    ...leaves.map(({ leaf: { name, range } }) => [
      what,
      name,
      formatInstant(range.lower),
      formatInstant(range.upper),
    ]),
    ...refused.map(({ name, reason, message, hint }) => ['refused', name, reason, message, hint]),
    ...kept.map(({ name, until }) => ['kept', name, until === null ? null : formatInstant(until)]),
    ...already.map((name) => ['already', name]),
  ]);
}

async function forTerminal(style: Style, view: DropView): Promise<string> {
  const { table, what, leaves, refused, kept, already } = view;
  const { chalk } = style;
  const title = `${chalk.bold(printable(table.qualified))}\n\n`;
  const rows = [
    ...leaves.map(({ leaf: { name, range } }) => [
      printable(name),
      formatInstantShort(range.lower),
      formatInstantShort(range.upper),
      what === 'dropped' ? chalk.green(what) : chalk.yellow(what),
    ]),
    ...kept.map(({ name, until }) => [
      printable(name),
      '',
      '',
      chalk.dim(until === null ? 'kept: attached' : `kept until ${formatInstantShort(until)}`),
    ]),
    ...already.map((name) => [printable(name), '', '', chalk.dim('dropped before')]),
    ...refused.map(({ name, reason }) => [printable(name), '', '', chalk.red(reason)]),
  ];
  if (rows.length === 0) return `${title}No leaf is that old: nothing to drop.\n`;
  const columns = [{ title: 'partition' }, { title: 'from' }, { title: 'to (exclusive)' }, { title: '' }];
  const problems = refused
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('refused:')} ${printable(message)}\n${chalk.cyan('hint:')} ${printable(hint)}\n`,
    )
    .join('');
  const freed =
    what === 'dropped' && leaves.length > 0 ? `\n${prettyBytes(freedBytes(leaves))} freed.\n` : '';
  return `${title}${await drawTable(style, columns, rows)}${problems}${freed}`;
}
