import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { startProgress } from '../cli/progress.ts';
import { withSession } from '../cli/with-session.ts';
import { reading } from '../db/transaction.ts';
import { formatInstant, formatInstantShort, type Range } from '../time/instant.ts';
import { isoText } from './hour-text.ts';
import { readSource, type Source } from './source.ts';
import { MOST_MISMATCHES, type Verification, verify } from './verify.ts';
import { noteVerification } from './verify-note.ts';
import { COLUMNS, type Column, type MismatchRow } from './verify-query.ts';
import { renderVerification } from './verify-render.ts';
import { parseVerifyRequest, type VerifyOptions, type VerifyRequest } from './verify-request.ts';

/** Runs `aggregates verify`; it writes nothing but its line in the run log, and takes no lock but for reading. */
export async function verifyCommand(context: Context, options: VerifyOptions): Promise<Outcome> {
  const request = parseVerifyRequest(options);
  return await withSession(context, options, async ({ session, warnings }) => {
    const startedAt = context.now();
    const source = await reading(session, () => readSource(session, options.table));
    const progress = await startProgress(`Reading the aggregates of ${source.table.name}`, options, context);
    try {
      const result = await verify(session, source, request, progress.update);
      const outcome = outcomeOf(source, request, result, warnings);
      const { exitCode } = outcome;
      await noteVerification(session, source, { context, options, startedAt }, { exitCode, result });
      return outcome;
    } finally {
      progress.stop();
    }
  });
}

function outcomeOf(
  source: Source,
  request: VerifyRequest,
  result: Verification,
  warnings: readonly Warning[],
): Outcome {
  const { checkedHours, readings, uncheckedHours, mismatchCount, lockedRanges } = result;
  const isLocked = lockedRanges.length > 0;
  return {
    exitCode: isLocked ? EXIT.busy : mismatchCount > 0 ? EXIT.no : EXIT.done,
    changed: false,
    data: {
      table: { schema: source.table.schema, name: source.table.name },
      checkedHours,
      readings,
      tolerance: Number(request.tolerance),
      sample: sampleData(request, result),
      uncheckedHours,
      uncheckedRanges: [
        ...result.uncheckedRanges.map(({ reason, range }) => ({ ...rangeData(range), reason })),
        ...lockedRanges.map((range) => ({ ...rangeData(range), reason: 'locked' })),
      ],
      mismatchCount,
      mismatches: result.mismatches.map(mismatchData),
    },
    warnings: [...warnings, ...cutShort(result)],
    error: isLocked ? lockedError(source, lockedRanges) : null,
    render: (style) => renderVerification(style, source, request, result),
  };
}

function sampleData({ sample }: VerifyRequest, { drawn }: Verification) {
  return sample === null ? null : { ...sample, pieces: drawn?.pieces ?? null, of: drawn?.of ?? null };
}

function rangeData({ lower, upper }: Range) {
  return { lower: formatInstant(lower), upper: formatInstant(upper) };
}

function lockedError({ table }: Source, ranges: readonly Range[]) {
  const list = ranges.map(
    ({ lower, upper }) => `${formatInstantShort(lower)} to ${formatInstantShort(upper)}`,
  );
  return {
    code: 'locked',
    message: `Somebody holds a lock on leaves of ${table.qualified} that keeps them from being read: ${list.join(', ')} could not be compared.`,
    hint: 'Run it again when they are free; pg_locks shows who holds them.',
    sqlstate: '55P03',
    object: table.qualified,
  };
}

function cutShort({ mismatches, mismatchCount }: Verification): readonly Warning[] {
  if (mismatches.length >= mismatchCount) return [];
  const message = `${mismatchCount.toLocaleString('en-US')} mismatches were found; the first ${MOST_MISMATCHES.toLocaleString('en-US')} are listed.`;
  return [{ code: 'list_cut_short', message }];
}

function mismatchData({ device, hour, kind, differs, stored, counted }: MismatchRow) {
  const deviceId = Number.isSafeInteger(Number(device)) ? Number(device) : device;
  const values = { stored: valuesData(stored), counted: valuesData(counted) };
  return { deviceId, hour: isoText(hour), kind, differs, ...values };
}

function valuesData(values: MismatchRow['stored']) {
  if (values === null) return null;
  const keys = Object.keys(COLUMNS) as readonly Column[];
  return Object.fromEntries(keys.map((key) => [key, valueData(key, values[key])]));
}

/** Numbers, but for those that JSON has not: NaN, and what is infinite. */
function valueData(key: Column, text: string | null): string | number | null {
  if (text === null) return null;
  if (key === 'firstAt' || key === 'lastAt') return isoText(text);
  return Number.isFinite(Number(text)) ? Number(text) : text;
}
