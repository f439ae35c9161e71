import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import type { Style } from '../cli/style.ts';
import { printable, tabSeparated } from '../cli/table.ts';
import { formatHour } from './hours.ts';
import type { RefreshResult } from './refresh.ts';
import type { Source } from './source.ts';

/** Shows what a run that counted came to. */
export function countedOutcome(source: Source, result: RefreshResult, warnings: readonly Warning[]): Outcome {
  const { counted, written, removed, heldBackBy, skipped, setUp } = result;
  const cleanUntil = formatHour(result.cleanUntilHour);
  return {
    exitCode: EXIT.done,
    changed: setUp || written + removed > 0,
    data: {
      table: { schema: source.table.schema, name: source.table.name },
      counted,
      written,
      removed,
      skipped,
      overflowed: result.overflowed,
      cleanUntil,
    },
    warnings: [
      ...warnings,
      ...heldBack(heldBackBy, cleanUntil),
      ...skippedWarnings(source, skipped),
      ...overflowWarnings(result),
    ],
    error: null,
    render: (style) => render(style, source, result, cleanUntil),
  };
}

function heldBack(writers: readonly string[], cleanUntil: string): readonly Warning[] {
  return writers.map((writer) => ({
    code: 'writer_open',
    message: `${writer}. Until it ends, the hours from ${cleanUntil} on are counted anew by each refresh.`,
  }));
}

function overflowWarnings({ overflowed, overflowedAt }: RefreshResult): readonly Warning[] {
  if (overflowed === 0) return [];
  const message = `The sums of ${overflowed} ${overflowed === 1 ? 'device-hour are' : 'device-hours are'} too large and stored as NaN: ${overflowedAt}${overflowed === 1 ? '' : ' and others'}. Its counts, extremes and ends are right.`;
  return [{ code: 'sums_overflow', message }];
}

function skippedWarnings({ table }: Source, skipped: number): readonly Warning[] {
  if (skipped === 0) return [];
  const message = `${skipped} ${skipped === 1 ? 'device-hour was' : 'device-hours were'} changed after the leaf of the other rows had left ${table.qualified}: their aggregates stand as they were.`;
  return [{ code: 'retired_hours_changed', message }];
}

function render(
  style: Style,
  source: Source,
  { counted, written, removed }: RefreshResult,
  cleanUntil: string,
): string {
  if (!style.isTerminal) {
    return tabSeparated([
      ['counted', counted, written, removed],
      ['clean_until', cleanUntil],
    ]);
  }
  const { chalk } = style;
  const title = chalk.bold(printable(source.aggregatesQualified));
  const n = (value: number): string => value.toLocaleString('en-US');
  const what =
    written + removed === 0
      ? chalk.green('up to date')
      : `${n(counted)} device-hours counted, ${n(written)} written, ${n(removed)} removed`;
  return `${title}  ${what}\nLate changes are logged before ${cleanUntil}.\n`;
}
