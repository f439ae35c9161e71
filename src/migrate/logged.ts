import type { ExitCode } from '../cli/exit-codes.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { type Outcome, toSensordbError } from '../cli/output.ts';
import { finishRun, logRun, type RunEnd, type RunStart } from '../db/run-log.ts';
import type { RunOptions } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { ensureOwnState } from './state.ts';

/** What the log's INSERT fails with when its table is missing, or older than this sensordb, or not ours to write. */
const NOT_READY: ReadonlySet<string | null> = new Set([
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedColumn,
  SQLSTATE.insufficientPrivilege,
]);

/** What is written of an outcome at the end of a run: its exit code, and the named keys of its data. */
function endOf({ exitCode, changed, data, error }: Outcome, keys: readonly string[]): RunEnd {
  const kept = Object.fromEntries(keys.map((key) => [key, data[key]]));
  return { exitCode, changed, result: { ...kept, error } };
}

/**
 * Notes a run that found nothing to do: one line in the run log, all at once.
 *
 * It does not look first whether sensordb's own tables are up to date: that they take the line is all that such a run needs.
 */
export async function logIdleRun(
  session: Session,
  start: RunStart,
  options: RunOptions,
  outcome: Outcome,
  keys: readonly string[],
): Promise<Outcome> {
  const end = endOf(outcome, keys);
  try {
    await logRun(session, start, end);
  } catch (thrown) {
    if (!NOT_READY.has(sqlstateOf(thrown))) throw thrown;
    await ensureOwnState(session, options, start.toolVersion);
    await logRun(session, start, end);
  }
  return outcome;
}

/**
 * Does a run's work between its two lines in the run log: one before, one after, also when it fails or is interrupted.
 *
 * A run that is killed leaves the first, without an end. Work that is done stays done and is reported even when the
 * end cannot be written.
 */
export async function loggedRun(
  session: Session,
  start: RunStart,
  options: RunOptions,
  work: () => Promise<Outcome>,
  keys: readonly string[],
): Promise<Outcome> {
  await ensureOwnState(session, options, start.toolVersion);
  const id = await logRun(session, start, null);
  let outcome: Outcome;
  try {
    outcome = await work();
  } catch (thrown) {
    // The reason itself goes to the user; a log that cannot be written does not replace it.
    await finishRun(session, id, failed(session, thrown)).catch(() => {});
    throw thrown;
  }
  try {
    await finishRun(session, id, endOf(outcome, keys));
    return outcome;
  } catch (thrown) {
    const message = `The end of this run was not written to sensordb.run_log: ${toSensordbError(thrown).message}`;
    return { ...outcome, warnings: [...outcome.warnings, { code: 'run_log_not_written', message }] };
  }
}

function failed(session: Session, thrown: unknown): RunEnd {
  const { exitCode, facts } = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
  const code: ExitCode = exitCode === EXIT.done ? EXIT.failed : exitCode;
  return { exitCode: code, changed: false, result: { error: facts } };
}
