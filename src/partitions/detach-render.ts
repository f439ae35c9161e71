import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { formatInstant, formatInstantShort } from '../time/instant.ts';
import type { Refusal } from './gate.ts';
import type { LeafTask } from './leaf-tasks.ts';

/** What is shown of a run that detached or attached leaves. */
export interface TasksView {
  readonly table: PartitionedTable;
  readonly tasks: readonly LeafTask[];
  readonly refused: readonly Refusal[];
  /** Leaves that were as they were asked to be. */
  readonly already: readonly string[];
}

const DONE: Readonly<Record<LeafTask['kind'], string>> = {
  detach: 'detached',
  finalize: 'finalized',
  complete: 'completed',
  move: 'moved',
  attach: 'attached',
  forget: 'not detached',
};

/** Shows a run: a table on a terminal, tab-separated lines off it. */
export async function renderDetach(style: Style, view: TasksView): Promise<string> {
  return style.isTerminal ? await forTerminal(style, view) : forPipe(view);
}

function forPipe({ tasks, refused, already }: TasksView): string {
  return tabSeparated([
    ...tasks.map(({ kind, leaf, range, targetSchema }) => [
      DONE[kind],
      leaf.name,
      formatInstant(range.lower),
      formatInstant(range.upper),
      targetSchema ?? leaf.schema,
    ]),
    ...already.map((name) => ['already', name]),
    ...refused.map(({ name, reason, message, hint }) => ['refused', name, reason, message, hint]),
  ]);
}

async function forTerminal(style: Style, { table, tasks, refused, already }: TasksView): Promise<string> {
  const { chalk } = style;
  const title = `${chalk.bold(printable(table.qualified))}\n\n`;
  if (tasks.length + refused.length + already.length === 0) return `${title}Nothing to do.\n`;
  const lines = await drawTable(
    style,
    [
      { title: 'partition' },
      { title: 'from' },
      { title: 'to (exclusive)' },
      { title: '' },
      { title: 'schema' },
    ],
    [
      ...already.map((name) => [printable(name), '', '', chalk.dim('nothing to do'), '']),
      ...tasks.map(({ kind, leaf, range, targetSchema }) => [
        printable(leaf.name),
        formatInstantShort(range.lower),
        formatInstantShort(range.upper),
        chalk.green(DONE[kind]),
        printable(targetSchema ?? leaf.schema),
      ]),
      ...refused.map(({ name, reason }) => [printable(name), '', '', chalk.red(reason), '']),
    ],
  );
  const problems = refused
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('refused:')} ${printable(message)}\n${chalk.cyan('hint:')} ${printable(hint)}\n`,
    )
    .join('');
  return `${title}${lines}${problems}`;
}
