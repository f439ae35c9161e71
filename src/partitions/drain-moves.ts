import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import { printable } from '../cli/table.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';
import { allSteps, type PreparedMove } from './drain.ts';
import { type GuardedMoveOptions, type MoveOptions, runMove } from './drain-run.ts';
import { type Conflict, type DrainedLeaf, type NewLeaf, refusedByServer } from './ensure-plan.ts';
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
  /** Those while whose moving DEFAULT refused rows, and whether it still does. */
  readonly guarded: readonly NewLeaf[];
  readonly isGuardLeft: boolean;
  /** What ended it before its time; what is drained stands all the same. */
  readonly error: SensordbError | null;
}

/**
 * Moves periods one after the other, and vacuums DEFAULT; never throws.
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
  const guarded: NewLeaf[] = [];
  let isGuardLeft = false;
  const watched: GuardedMoveOptions = {
    ...options,
    onGuard: (leaf) => guarded.push(leaf),
    onGuardLeft: () => {
      isGuardLeft = true;
    },
    isGuardLeft: () => isGuardLeft,
  };
  try {
    for (const [at, prepared] of moves.entries()) {
      const result = await runOne(session, prepared, watched);
      if (result.conflict === null) drained.push({ leaf: prepared.leaf, rows: result.rows });
      else conflicts.push(result.conflict);
      const isLast = at === moves.length - 1;
      if (drained.length > 0 && (isLast || (result.conflict === null && isMany(prepared)))) {
        await vacuum(session, vacuumStep(defaultPartition), options);
      }
    }
    return { drained, conflicts, guarded, isGuardLeft, error: null };
  } catch (thrown) {
    const error = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
    return { drained, conflicts, guarded, isGuardLeft, error };
  }
}

/** From so many rows on, what is left of them would make the next ATTACH take longer: they are vacuumed away first. */
const MANY_ROWS = 10_000;

function isMany({ leaf }: PreparedMove): boolean {
  return leaf.rows.count >= MANY_ROWS;
}

/** Lists the steps of all periods that a run would send, for `--dry-run`. */
export function movesSteps(
  defaultPartition: DefaultPartition | null,
  moves: readonly PreparedMove[],
): readonly (readonly Step[])[] {
  if (defaultPartition === null) return [];
  return moves.flatMap((prepared, at) => [
    ...allSteps(prepared),
    ...(isMany(prepared) || at === moves.length - 1 ? [[vacuumStep(defaultPartition)]] : []),
  ]);
}

async function vacuum(session: Session, { title, sql }: Step, { update }: MoveOptions): Promise<void> {
  update(title);
  await session.assertLocked();
  await session.run(sql);
}

async function runOne(
  session: Session,
  prepared: PreparedMove,
  options: GuardedMoveOptions,
): Promise<
  { readonly rows: number; readonly conflict: null } | { readonly rows: null; readonly conflict: Conflict }
> {
  try {
    return { rows: await runMove(session, prepared, options), conflict: null };
  } catch (thrown) {
    session.signal.throwIfAborted();
    // Nothing can be guarded, and so nothing moved, before that one is gone.
    if (options.isGuardLeft()) throw thrown;
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

/** Makes the step that frees DEFAULT of what was moved out of it. */
function vacuumStep(defaultPartition: DefaultPartition): Step {
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  return {
    title: `Vacuum ${printable(relation)}`,
    sql: sqlStatement('partitions/vacuum_default.sql', guardTarget(defaultPartition)),
    transaction: null,
    locks: [{ relation, mode: 'SHARE UPDATE EXCLUSIVE' }],
  };
}
