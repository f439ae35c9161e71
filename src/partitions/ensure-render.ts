import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import { formatInstant, formatInstantShort, type Instant } from '../time/instant.ts';
import type { Runway } from './coverage.ts';
import type { PreparedEnsure } from './ensure.ts';
import type { Conflict, NewLeaf } from './ensure-plan.ts';
import { describeRunway, runwayData } from './runway.ts';

/** What is shown of a run of `partitions ensure`. */
export interface EnsureView {
  readonly prepared: PreparedEnsure;
  readonly created: readonly NewLeaf[];
  readonly conflicts: readonly Conflict[];
  readonly runway: Runway;
  readonly now: Instant;
}

/** Shows a run: a table and the runway on a terminal, tab-separated lines off it. */
export async function renderEnsure(style: Style, view: EnsureView): Promise<string> {
  return style.isTerminal ? await forTerminal(style, view) : forPipe(view);
}

function forPipe({ prepared, created, conflicts, runway }: EnsureView): string {
  const { existing } = prepared.plan;
  const { runwayState, runwayUntil } = runwayData(runway);
  return tabSeparated([
    ...created.map(({ name, range }) => [
      'created',
      name,
      formatInstant(range.lower),
      formatInstant(range.upper),
    ]),
    ...existing.map((name) => ['existing', name]),
    ...conflicts.map(({ range, reason, message, hint }) => [
      'conflict',
      reason,
      formatInstant(range.lower),
      formatInstant(range.upper),
      message,
      hint,
    ]),
    ['runway', runwayState, runwayUntil],
  ]);
}

async function forTerminal(style: Style, view: EnsureView): Promise<string> {
  const { prepared, created, conflicts, runway, now } = view;
  const { table, plan, partitions } = prepared;
  const { chalk } = style;
  const range = `${formatInstantShort(plan.range.lower)} to ${formatInstantShort(plan.range.upper)}`;
  const title = `${chalk.bold(printable(table.qualified))}  one leaf a ${plan.interval}, ${range} (UTC)\n\n`;
  const leaves = new Map(partitions.leaves.map((leaf) => [leaf.name, leaf.range]));
  const rows = [
    ...plan.existing.map((name) => ({ name, range: leaves.get(name), what: chalk.dim('exists') })),
    ...created.map(({ name, range: made }) => ({ name, range: made, what: chalk.green('created') })),
    ...conflicts.map(({ range: open, reason }) => ({ name: '', range: open, what: chalk.red(reason) })),
  ].toSorted((a, b) => ((a.range?.lower ?? 0n) < (b.range?.lower ?? 0n) ? -1 : 1));
  const lines = await drawTable(
    style,
    [{ title: 'partition' }, { title: 'from' }, { title: 'to (exclusive)' }, { title: '' }],
    rows.map(({ name, range: bounds, what }) => [
      printable(name),
      bounds === undefined ? '' : formatInstantShort(bounds.lower),
      bounds === undefined ? '' : formatInstantShort(bounds.upper),
      what,
    ]),
  );
  const problems = conflicts
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('conflict:')} ${printable(message)}\n${chalk.cyan('hint:')} ${printable(hint)}\n`,
    )
    .join('');
  const hasDefault = partitions.default !== null;
  return `${title}${lines}${problems}\n${describeRunway(runway, now, hasDefault)}\n`;
}
