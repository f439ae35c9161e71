import type { ExitCode } from '../cli/exit-codes.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { type Outcome, toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import { finishRun, logRun, type RunEnd, type RunStart } from '../db/run-log.ts';
import { type Session, uninterrupted } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { ensureOwnState, ownStateSteps, readOwnState } from './state.ts';

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

/** The line of one run in the run log. */
export interface RunRecord {
  /** Writes the line, without an end, before the first change; makes sensordb's own tables if need be. */
  readonly begin: () => Promise<void>;
  /** Completes the line, or writes it whole when there was nothing to do; returns what the user is to see. */
  readonly end: (outcome: Outcome) => Promise<Outcome>;
  /** Writes the line of a run that nobody agreed to, as far as that can be written; returns what the user is to see. */
  readonly decline: (outcome: Outcome) => Promise<Outcome>;
  /** Notes why the run failed, as far as that can be written; does nothing after `end` or `decline`. */
  readonly fail: (thrown: unknown) => Promise<void>;
}

/**
 * Keeps the line of a run in the run log; `keys` are those of the outcome's data that it holds.
 *
 * A run that is killed leaves a line without an end. Work that is done stays done and is reported even when the end cannot
 * be written. A run with nothing to do does not look first whether sensordb's own tables are up to date: that they
 * take the line is all that it needs.
 */
export function recordRun(
  session: Session,
  start: RunStart,
  options: RunOptions,
  keys: readonly string[],
): RunRecord {
  let id: string | null = null;
  let isEnded = false;
  const makeTables = () => ensureOwnState(session, options, start.toolVersion);
  return {
    begin: async () => {
      await makeTables();
      id = await logRun(session, start, null);
    },
    end: async (outcome) => {
      isEnded = true;
      const end = endOf(outcome, keys);
      if (id !== null) return await finishOrWarn(session, id, end, outcome);
      await logWhole(session, start, end, makeTables);
      return outcome;
    },
    decline: async (outcome) => {
      isEnded = true;
      // Sensordb's own tables are not made for it: nothing was to be done.
      await logRun(session, start, endOf(outcome, keys)).catch(() => {});
      return outcome;
    },
    fail: async (thrown) => {
      if (isEnded) return;
      const end = failed(session, thrown);
      const written = id === null ? logRun(uninterrupted(session), start, end) : finishRun(session, id, end);
      // The reason itself goes to the user; a log that cannot be written does not replace it.
      await written.catch(() => {});
    },
  };
}

/** Makes the steps that sensordb's own tables still need before a command can write into them, for `--dry-run`. */
export async function readStateSteps(
  session: Session,
  toolVersion: string,
): Promise<readonly (readonly Step[])[]> {
  return ownStateSteps(await reading(session, () => readOwnState(session)), toolVersion);
}

async function logWhole(
  session: Session,
  start: RunStart,
  end: RunEnd,
  makeTables: () => Promise<unknown>,
): Promise<void> {
  try {
    await logRun(session, start, end);
  } catch (thrown) {
    if (!NOT_READY.has(sqlstateOf(thrown))) throw thrown;
    await makeTables();
    await logRun(session, start, end);
  }
}

async function finishOrWarn(session: Session, id: string, end: RunEnd, outcome: Outcome): Promise<Outcome> {
  try {
    await finishRun(session, id, end);
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
