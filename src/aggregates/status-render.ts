import type { Style } from '../cli/style.ts';
import { printable, tabSeparated } from '../cli/table.ts';
import { formatInstant, formatInstantShort, type Instant, type Range } from '../time/instant.ts';
import { describeAge } from './age.ts';
import { isoText } from './hour-text.ts';
import type { HeldLeaf } from './status-leaves.ts';
import { type RunRow, stateOf } from './status-read.ts';
import type { StatusView } from './status-view.ts';

/** Shows how the aggregates are: lines for people on a terminal, tab-separated ones off it. */
export function renderStatus(style: Style, view: StatusView): string {
  return style.isTerminal ? forTerminal(style, view) : forPipe(view);
}

const iso = (instant: Instant | null): string | null => (instant === null ? null : formatInstant(instant));
const ends = ({ lower, upper }: Range) => [formatInstant(lower), formatInstant(upper)] as const;

function forPipe(view: StatusView): string {
  const { coverage, runs, heldLeaves, findings } = view;
  return tabSeparated([
    ['set_up', view.setUp ? 'yes' : 'no'],
    ['clean_until', iso(view.cleanUntil)],
    ['lag_seconds', view.lagSeconds],
    ['dirty_hours', view.dirtyHours],
    ['pending_hours', view.pendingHours],
    ...view.pending.map((range) => ['pending', range.reason, ...ends(range)]),
    ['gate', iso(view.gate)],
    ['stored', isoOr(coverage?.first), isoOr(coverage?.last)],
    ...view.retired.map((range) => ['retired', ...ends(range)]),
    ['skipped_hours', view.skippedHours],
    ...runs.map((run) => [
      'run',
      run.command,
      stateOf(run),
      isoText(run.startedAt),
      isoOr(run.finishedAt),
      run.exitCode,
    ]),
    ...heldLeaves.map(({ name, reasons }) => ['retention_refused', name, reasons.join(',')]),
    ...findings.map(({ check, severity, object, message }) => ['finding', check, severity, object, message]),
  ]);
}

const isoOr = (text: string | null | undefined): string | null => (text == null ? null : isoText(text));

const n = (value: number): string => value.toLocaleString('en-US');
const deviceHours = (count: number): string => `${n(count)} ${count === 1 ? 'device-hour' : 'device-hours'}`;

function forTerminal(style: Style, view: StatusView): string {
  const { chalk } = style;
  const { source, cleanUntil, lagSeconds, findings } = view;
  const title = `${chalk.bold(printable(source.table.qualified))}  hourly aggregates in ${printable(source.aggregatesQualified)}\n\n`;
  const clean =
    cleanUntil === null || lagSeconds === null
      ? chalk.yellow('no hour yet')
      : `${formatInstantShort(cleanUntil)}, ${describeAge(lagSeconds)} ago`;
  const lines: readonly (readonly [string, string])[] = [
    ['Clean until', clean],
    ['To count', toCount(view)],
    ['Stored', stored(view)],
    ['Retired', retired(view)],
    ...view.runs.map((run) => [runTitle(run), runText(style, run)] as const),
    ['Retention', retention(view.heldLeaves)],
  ];
  const text = view.setUp ? lines.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join('') : '';
  const found = findings.map(({ severity, message, fix }) => {
    const paint = severity === 'critical' ? chalk.red : chalk.yellow;
    return `${paint(severity)}: ${printable(message)}\n${fix.map((line) => `  ${chalk.cyan(printable(line))}\n`).join('')}`;
  });
  return `${title}${text}${found.length === 0 ? chalk.green('Every change is logged.\n') : found.join('')}`;
}

function toCount({ dirtyHours, pending, pendingHours }: StatusView): string {
  const single = `${deviceHours(dirtyHours ?? 0)} that changed`;
  if (pending.length === 0) return single;
  const ranges = pending.map(
    ({ lower, upper }) => `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`,
  );
  const more = ranges.length > 3 ? `, and ${n(ranges.length - 3)} more ranges` : '';
  const hours = pendingHours === null ? '' : ` (${n(pendingHours)} hours)`;
  return `${single}; whole hours from ${ranges.slice(0, 3).join(', ')}${more}${hours}`;
}

function stored({ coverage }: StatusView): string {
  if (coverage === null) return 'unknown';
  if (coverage.first === null || coverage.last === null) return 'nothing';
  return `hours from ${isoText(coverage.first)} to ${isoText(coverage.last)}`;
}

function retired({ retired: ranges, skippedHours }: StatusView): string {
  if (ranges.length === 0) return 'nothing';
  const list = ranges.map(
    ({ lower, upper }) => `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`,
  );
  const more = list.length > 3 ? `, and ${n(list.length - 3)} more ranges` : '';
  const skipped = skippedHours ? `; ${deviceHours(skippedHours)} changed after that` : '';
  return `${list.slice(0, 3).join(', ')}${more}: their leaves have gone, their aggregates stand${skipped}`;
}

const runTitle = ({ command }: RunRow): string => `Last ${command.replace('aggregates ', '')}`;

function runText({ chalk }: Style, run: RunRow): string {
  const state = stateOf(run);
  if (state === 'running') return `running since ${isoText(run.startedAt)}`;
  if (state === 'killed') return chalk.yellow(`killed, begun at ${isoText(run.startedAt)}`);
  return `${isoText(run.finishedAt ?? '')}, exit ${run.exitCode}`;
}

const MOST_SHOWN = 10;

function retention(leaves: readonly HeldLeaf[]): string {
  if (leaves.length === 0) return 'no leaf would be refused';
  const shown = leaves
    .slice(0, MOST_SHOWN)
    .map(({ name, reasons }) => `${printable(name)} (${reasons.join(', ')})`);
  const more = leaves.length - shown.length;
  return `would be refused for ${shown.join(', ')}${more > 0 ? `, and ${n(more)} more` : ''}`;
}
