import type { Style } from '../cli/style.ts';
import { drawTable, printable, tabSeparated } from '../cli/table.ts';
import { formatInstant, formatInstantShort } from '../time/instant.ts';
import type { Reason } from './hour-ranges.ts';
import { isoText } from './hour-text.ts';
import type { Source } from './source.ts';
import type { Verification } from './verify.ts';
import { COLUMNS, type Column, type MismatchRow } from './verify-query.ts';
import type { VerifyRequest } from './verify-request.ts';

/** Shows a verification: a table of the first mismatches on a terminal, tab-separated lines off it. */
export async function renderVerification(
  style: Style,
  source: Source,
  request: VerifyRequest,
  result: Verification,
): Promise<string> {
  return style.isTerminal ? await forTerminal(style, source, request, result) : forPipe(request, result);
}

const REASONS: Readonly<Record<Reason, string>> = {
  dirty: 'changed since they were counted',
  pending: 'are still to be counted',
  changedLeaf: 'are in leaves that came or changed since',
  open: 'are not over yet',
  retired: 'have no raw rows any more',
};

const reasonsOf = ({ uncheckedHours }: Verification) =>
  (Object.keys(REASONS) as readonly Reason[]).map((reason) => ({ reason, hours: uncheckedHours[reason] }));

function forPipe({ sample }: VerifyRequest, result: Verification): string {
  const { checkedHours, uncheckedRanges, lockedRanges, mismatches, mismatchCount } = result;
  return tabSeparated([
    ...mismatches.flatMap((one) => differences(one).map((difference) => mismatchLine(one, difference))),
    ['checked_hours', checkedHours],
    ...reasonsOf(result).map(({ reason, hours }) => ['unchecked_hours', reason, hours]),
    ...[...uncheckedRanges, ...lockedRanges.map((range) => ({ reason: 'locked', range }))].map(
      ({ reason, range }) => [
        'unchecked_range',
        reason,
        formatInstant(range.lower),
        formatInstant(range.upper),
      ],
    ),
    ...(sample === null ? [] : [['sample', sample.share, 'seed', sample.seed]]),
    ['mismatches', mismatchCount],
  ]);
}

function mismatchLine({ device, hour, kind }: MismatchRow, difference: Difference) {
  const { column, stored, counted } = difference;
  return ['mismatch', kind, device, isoText(hour), column, stored, counted];
}

interface Difference {
  readonly column: string;
  readonly stored: string | null;
  readonly counted: string | null;
}

/** What differs; of a row that is there or not at all the count stands for it. */
function differences({ kind, differs, stored, counted }: MismatchRow): readonly Difference[] {
  const shown: readonly Column[] = kind === 'wrong' ? differs : ['readingCount'];
  const value = (values: MismatchRow['stored'], key: Column): string | null => {
    if (values === null) return null;
    return key === 'firstAt' || key === 'lastAt' ? isoText(values[key]) : values[key];
  };
  return shown.map((key) => ({
    column: COLUMNS[key],
    stored: value(stored, key),
    counted: value(counted, key),
  }));
}

/** The most mismatches that a terminal is shown. */
const MOST_SHOWN = 20;

async function forTerminal(
  style: Style,
  source: Source,
  { sample }: VerifyRequest,
  result: Verification,
): Promise<string> {
  const { chalk } = style;
  const { checkedHours, readings, mismatches, mismatchCount, drawn } = result;
  const of = drawn === null ? '' : ` in ${n(drawn.pieces)} of ${n(drawn.of)} pieces of time`;
  const title = `${chalk.bold(printable(source.aggregatesQualified))}  ${n(checkedHours)} device-hours compared with ${n(readings)} readings${of}\n`;
  const unchecked = reasonsOf(result)
    .filter(({ hours }) => hours > 0)
    .map(({ reason, hours }) => `Not compared: ${n(hours)} device-hours that ${REASONS[reason]}.\n`);
  const ranges = result.uncheckedRanges
    .filter(({ reason }) => reason === 'pending' || reason === 'changedLeaf')
    .map(({ reason, range }) =>
      chalk.yellow(
        `Hours from ${formatInstantShort(range.lower)} to ${formatInstantShort(range.upper)} ${REASONS[reason]}.\n`,
      ),
    );
  const seed =
    sample === null ? '' : `The same hours again: --sample ${sample.share} --seed ${sample.seed}\n`;
  const verdict =
    mismatchCount === 0
      ? checkedHours === 0
        ? chalk.yellow('Nothing was compared.\n')
        : chalk.green('No mismatch.\n')
      : chalk.red(`${n(mismatchCount)} ${mismatchCount === 1 ? 'mismatch' : 'mismatches'}.\n`);
  return [
    title,
    await mismatchTable(style, mismatches, mismatchCount),
    ...unchecked,
    ...ranges,
    seed,
    verdict,
  ].join('');
}

const n = (value: number): string => value.toLocaleString('en-US');

async function mismatchTable(
  style: Style,
  mismatches: readonly MismatchRow[],
  count: number,
): Promise<string> {
  if (mismatches.length === 0) return '';
  const shown = mismatches.slice(0, MOST_SHOWN);
  const table = await drawTable(
    style,
    [
      { title: 'device', align: 'right' },
      { title: 'hour' },
      { title: 'aggregate' },
      { title: 'column' },
      { title: 'stored', align: 'right' },
      { title: 'counted', align: 'right' },
    ],
    shown.flatMap((one) =>
      differences(one).map(({ column, stored, counted }) => [
        one.device,
        isoText(one.hour),
        style.chalk.red(one.kind),
        column,
        stored ?? style.chalk.dim('none'),
        counted ?? style.chalk.dim('none'),
      ]),
    ),
  );
  const more = count - shown.length;
  return `\n${table}${more > 0 ? `… and ${n(more)} more: --json lists up to 10,000.\n` : ''}\n`;
}
