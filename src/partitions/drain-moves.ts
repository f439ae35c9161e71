import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';
import type { PreparedMove } from './drain.ts';
import { type MoveOptions, runMove } from './drain-run.ts';
import { type Conflict, type DrainedLeaf, refusedByServer } from './ensure-plan.ts';
import { guardTarget } from './guard.ts';
import type { DefaultPartition } from './read.ts';

/** A period that was moved, and how many rows it had. */
export interface MovedPeriod {
  readonly leaf: DrainedLeaf;
  readonly rows: number;
}

/** What the moving of some periods came to. */
export interface MovedPeriods {
  readonly drained: readonly MovedPeriod[];
  readonly conflicts: readonly Conflict[];
  /** What ended it before its time; what is drained stands all the same. */
  readonly error: SensordbError | null;
}

/**
 * Moves periods one after the other, and cleans up; never throws.
 *
 * A conflict over one period does not stop the others, a failure does.
 */
export async function runMoves(
  session: Session,
  defaultPartition: DefaultPartition,
  moves: readonly PreparedMove[],
  options: MoveOptions,
): Promise<MovedPeriods> {
  const drained: MovedPeriod[] = [];
  const conflicts: Conflict[] = [];
  try {
    for (const prepared of moves) {
      const result = await runOne(session, prepared, options);
      if (result.conflict === null) drained.push({ leaf: prepared.leaf, rows: result.rows });
      else conflicts.push(result.conflict);
    }
    if (drained.length > 0) await cleanUp(session, defaultPartition, options);
    return { drained, conflicts, error: null };
  } catch (thrown) {
    const error = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
    return { drained, conflicts, error };
  }
}

async function runOne(
  session: Session,
  prepared: PreparedMove,
  options: MoveOptions,
): Promise<
  { readonly rows: number; readonly conflict: null } | { readonly rows: null; readonly conflict: Conflict }
> {
  try {
    return { rows: await runMove(session, prepared, options), conflict: null };
  } catch (thrown) {
    session.signal.throwIfAborted();
    const conflict = asConflict(prepared.leaf, thrown);
    if (conflict === null) throw thrown;
    return { rows: null, conflict };
  }
}

function asConflict({ range }: DrainedLeaf, thrown: unknown): Conflict | null {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  switch (sqlstateOf(thrown)) {
    case SQLSTATE.invalidObjectDefinition:
      return refusedByServer(range, 'overlap', message);
    case SQLSTATE.duplicateTable:
    case SQLSTATE.duplicateObject:
      return refusedByServer(range, 'name_taken', message);
    default:
      return null;
  }
}

async function cleanUp(
  session: Session,
  defaultPartition: DefaultPartition,
  { run, update }: MoveOptions,
): Promise<void> {
  const { forget, vacuum } = afterMoves(defaultPartition);
  await runTransaction(session, forget, run);
  update(vacuum.title);
  await session.assertLocked();
  await session.run(vacuum.sql);
}

/** Makes the steps that clean up when periods were moved: forgets what was copied where, and vacuums DEFAULT. */
export function afterMoves(defaultPartition: DefaultPartition): {
  readonly forget: readonly Step[];
  readonly vacuum: Step;
} {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  return {
    forget: [
      {
        title: 'Forget which rows were copied where',
        sql: sqlStatement('partitions/drain_forget.sql', {}),
        transaction: 1,
        locks: [],
      },
    ],
    vacuum: {
      title: `Vacuum ${printable(relation)}`,
      sql: sqlStatement('partitions/vacuum_default.sql', guardTarget(defaultPartition)),
      transaction: null,
      locks: [{ relation, mode: 'SHARE UPDATE EXCLUSIVE' }],
    },
  };
}
