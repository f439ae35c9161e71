import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import type { Drift } from './drift.ts';
import type { PreparedRepair } from './repair-prepare.ts';
import type { RepairResult } from './repair-result.ts';

/** Shows a run: a table and what is left on a terminal, tab-separated lines off it. */
export async function renderRepair(
  style: Style,
  prepared: PreparedRepair,
  result: RepairResult,
): Promise<string> {
  return style.isTerminal ? await forTerminal(style, prepared, result) : forPipe(prepared, result);
}

function stateOf({ mended, blocked }: RepairResult): (drift: Drift) => 'mended' | 'blocked' | 'drift' {
  const [done, waiting] = [new Set(mended), new Set(blocked)];
  return (drift) => (done.has(drift) ? 'mended' : waiting.has(drift) ? 'blocked' : 'drift');
}

function forPipe({ drifts }: PreparedRepair, result: RepairResult): string {
  const state = stateOf(result);
  return tabSeparated([
    ...drifts.map((drift) => [state(drift), drift.name, drift.kind, drift.what, drift.expected, drift.found]),
    ...result.refused.map(({ name, kind, reason, message, hint }) => [
      'refused',
      name,
      kind,
      reason,
      message,
      hint,
    ]),
  ]);
}

async function forTerminal(
  style: Style,
  { table, drifts, members }: PreparedRepair,
  result: RepairResult,
): Promise<string> {
  const { chalk } = style;
  const title = chalk.bold(printable(table.qualified));
  const partitions = `${members.length} ${members.length === 1 ? 'partition' : 'partitions'}`;
  if (drifts.length === 0) return `${title}  ${partitions}, ${chalk.green('no drift')}\n`;
  const state = stateOf(result);
  const colours = { mended: chalk.green, blocked: chalk.yellow, drift: chalk.red };
  const rows = drifts.map((drift) => {
    const word = state(drift);
    const { name, what, expected, found } = drift;
    return [...[name, what, found, expected].map(printable), colours[word](word)];
  });
  const columns = ['partition', 'what', 'found', 'expected', ''].map((text) => ({ title: text }));
  const problems = result.refused
    .map(
      ({ message, hint }) =>
        `\n${chalk.red('refused:')} ${printable(message)}\n${chalk.cyan('hint:')} ${printable(hint)}\n`,
    )
    .join('');
  return `${title}  ${partitions}\n\n${await drawTable(style, columns, rows)}${problems}`;
}
