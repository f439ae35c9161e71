import type { Context } from '../cli/context.ts';
import type { ExitCode } from '../cli/exit-codes.ts';
import { logRun } from '../db/run-log.ts';
import type { Session } from '../db/session.ts';
import { formatInstant, parseInstant, type Range } from '../time/instant.ts';
import { mergeRanges } from '../time/ranges.ts';
import { HOUR } from './hours.ts';
import type { Source } from './source.ts';
import type { Verification } from './verify.ts';
import type { VerifyOptions } from './verify-request.ts';

/** So many ranges of wrong hours are kept: whoever mends them finds more at the next verification. */
const MOST_RANGES = 50;

/**
 * Notes in the run log what a verification came to, for whoever asks later whether there was one.
 *
 * It reads only, and whoever may only read can verify as well: where the line cannot be written, there is none.
 */
export async function noteVerification(
  session: Session,
  source: Source,
  {
    context,
    options,
    startedAt,
  }: { readonly context: Context; readonly options: VerifyOptions; readonly startedAt: Date },
  { exitCode, result }: { readonly exitCode: ExitCode; readonly result: Verification },
): Promise<void> {
  // A transaction of ours that writes would be one in spite of default_transaction_read_only.
  if (session.server.readOnly || session.server.inRecovery) return;
  const { schema, name } = source.table;
  const { table, from, to, sample, seed } = options;
  const start = {
    command: 'aggregates verify',
    table: { schema, name },
    arguments: { table, from, to, sample, seed },
    startedAt,
    toolVersion: context.version,
  };
  const { checkedHours, mismatchCount } = result;
  const wrong = wrongRanges(result).map(({ lower, upper }) => ({
    from: formatInstant(lower),
    to: formatInstant(upper),
  }));
  await logRun(session, start, {
    exitCode,
    changed: false,
    result: { checkedHours, mismatchCount, wrong },
  }).catch(() => {});
}

function wrongRanges({ mismatches }: Verification): readonly Range[] {
  const hours = mismatches.flatMap(({ hour }) => {
    const lower = hour.endsWith('infinity') ? null : parseInstant(hour);
    return lower === null ? [] : [{ lower, upper: lower + HOUR }];
  });
  return mergeRanges(hours).slice(0, MOST_RANGES);
}
