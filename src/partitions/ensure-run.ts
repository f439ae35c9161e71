import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import { runSteps } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { type MovedPeriod, runMoves } from './drain-moves.ts';
import { BATCH_ROWS } from './drain-request.ts';
import type { PreparedEnsure } from './ensure.ts';
import { type Conflict, type NewLeaf, refusedByServer, rowsInDefault } from './ensure-plan.ts';
import { readRowsInTheWay } from './ensure-read.ts';
import type { Hole } from './ensure-sketch.ts';
import { leftGuardSteps, removeGuard } from './guard.ts';

/** What a run of `partitions ensure` came to. */
export interface EnsureResult {
  readonly created: readonly NewLeaf[];
  readonly drained: readonly MovedPeriod[];
  /** Those of the plan, and those that came up on the way. */
  readonly conflicts: readonly Conflict[];
  /** What ended the run before its time; what is created stands all the same. */
  readonly error: SensordbError | null;
}

/**
 * Makes the leaves of a plan, each in a transaction of its own; a conflict over one does not stop the others.
 */
export async function runEnsure(
  session: Session,
  prepared: PreparedEnsure,
  options: RunOptions,
  update: (text: string) => void,
): Promise<EnsureResult> {
  const made = await runWork(session, prepared, options, update);
  const { moves } = prepared.moves;
  const { default: from } = prepared.partitions;
  if (made.error !== null || from === null || moves.length === 0) return { ...made, drained: [] };
  const { drained, conflicts, error } = await runMoves(session, from, moves, {
    run: options,
    batchRows: BATCH_ROWS,
    update,
  });
  return { created: made.created, drained, conflicts: [...made.conflicts, ...conflicts], error };
}

async function runWork(
  session: Session,
  prepared: PreparedEnsure,
  options: RunOptions,
  update: (text: string) => void,
): Promise<Omit<EnsureResult, 'drained'>> {
  const created: NewLeaf[] = [];
  const conflicts: Conflict[] = [...prepared.plan.conflicts];
  const { work, partitions } = prepared;
  try {
    await runSteps(session, leftGuardSteps(partitions.default), options);
  } catch (thrown) {
    return { created, conflicts, error: asError(session, thrown) };
  }
  for (const [at, { leaf, steps, guard }] of work.entries()) {
    update(`Creating ${leaf.name} (${at + 1} of ${work.length})`);
    try {
      await runSteps(session, steps, options);
      created.push(leaf);
    } catch (thrown) {
      if (guard !== null) await removeGuard(session, guard, options);
      const judged = await judgeFailure(session, prepared, leaf, thrown, options);
      if (judged.error !== null) return { created, conflicts, error: judged.error };
      conflicts.push(judged.conflict);
    }
  }
  return { created, conflicts, error: null };
}

function asError(session: Session, thrown: unknown): SensordbError {
  return toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
}

type Judgement =
  | { readonly conflict: Conflict; readonly error: null }
  | { readonly conflict: null; readonly error: SensordbError };

/** Tells what others did since the plan was made, which is a conflict, from what is a failure; never throws. */
async function judgeFailure(
  session: Session,
  prepared: PreparedEnsure,
  leaf: NewLeaf,
  thrown: unknown,
  options: RunOptions,
): Promise<Judgement> {
  try {
    session.signal.throwIfAborted();
    const conflict = await asConflict(session, prepared, leaf, thrown, options);
    return conflict === null ? { conflict, error: asError(session, thrown) } : { conflict, error: null };
  } catch (again) {
    return { conflict: null, error: asError(session, again) };
  }
}

async function asConflict(
  session: Session,
  { table, partitions }: PreparedEnsure,
  leaf: NewLeaf,
  thrown: unknown,
  options: RunOptions,
): Promise<Conflict | null> {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  switch (sqlstateOf(thrown)) {
    case SQLSTATE.checkViolation: {
      // "updated partition constraint for default partition … would be violated by some row": it came in since.
      if (partitions.default === null) return null;
      const hole: Hole = { range: leaf.range, extent: 'whole', names: [leaf.name] };
      const found = await readRowsInTheWay(session, table, partitions, [hole], options);
      const rows = found.get(leaf.range.lower) ?? null;
      return rowsInDefault(table, leaf.range, rows, partitions.default);
    }
    case SQLSTATE.invalidObjectDefinition:
      return refusedByServer(leaf.range, 'overlap', message);
    case SQLSTATE.duplicateTable:
    case SQLSTATE.duplicateObject:
      return refusedByServer(leaf.range, 'name_taken', message);
    default:
      return null;
  }
}
