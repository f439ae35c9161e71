import type { SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { toSensordbError, type Warning } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { Range } from '../time/instant.ts';
import type { PhaseOptions } from './detach-run.ts';
import { type DetachedLeaf, readDetached } from './detached.ts';
import { type LeafFacts, readLeafFacts, readLeafState } from './leaf-facts.ts';
import { describeIncomplete, type Failure, failureOf, isNobodysWish } from './leaf-failures.ts';
import { forgetPhase } from './leaf-statements.ts';
import { describeLeft, type Undo, undoTask } from './leaf-undo.ts';
import { type Phase, runPhases } from './leaf-work.ts';
import { BLOCKED } from './refusals.ts';
import { inRounds, type TryResult } from './rounds.ts';

/** All the work on one leaf. */
export interface LeafTask {
  readonly kind: 'detach' | 'finalize' | 'complete' | 'move' | 'attach' | 'forget';
  readonly leaf: LeafFacts;
  readonly range: Range;
  readonly targetSchema: string | null;
  /** It was asked for; what an interrupted run left behind is done all the same. */
  readonly isSelected: boolean;
  /** What is done first; after it the catalog is looked at again. */
  readonly first: readonly Phase[];
  /** What is foreseen to come after that. */
  readonly rest: readonly Phase[];
  /** Works the rest out from what is there by then. */
  readonly replan: (fresh: LeafFacts, noted: DetachedLeaf) => readonly Phase[];
  /** Works the rest out of a leaf of which nothing is noted; without it what was foreseen holds. */
  readonly anew?: (fresh: LeafFacts) => readonly Phase[];
  /** What must not stay when the task fails. */
  readonly undo?: readonly Undo[];
}

/** What came of tasks. */
export interface TaskResult {
  readonly done: readonly LeafTask[];
  readonly failed: readonly Failure[];
  /** What ended the run before its time; what is done stands all the same. */
  readonly error: SensordbError | null;
  /** Something was changed: of a leaf that failed, too. */
  readonly changed: boolean;
  /** What failed tasks have left that refuses rows, and what nobody asked for and was not done. */
  readonly warnings: readonly Warning[];
}

/** How long DETACH CONCURRENTLY may wait for those who use the parent, before FINALIZE gets the rest of the budget. */
const PATIENCE_MS = 1000;

/**
 * Works off tasks: first all that nobody is in the way of, then the others, waiting as far as the budget goes.
 *
 * One leaf that is blocked or refused does not stop the others.
 */
export async function runTasks(
  session: Session,
  table: PartitionedTable,
  tasks: readonly LeafTask[],
  options: RunOptions,
  onTask: (task: LeafTask) => void,
): Promise<TaskResult> {
  const done = new Set<LeafTask>();
  const failed = new Map<LeafTask, Failure>();
  const begun = new Map<LeafTask, number>();
  const left = new Map<LeafTask, readonly Warning[]>();
  let changed = false;
  const attempt = async (task: LeafTask, allowed: RunOptions, isFirst: boolean): Promise<TryResult> => {
    onTask(task);
    const phaseOptions = {
      ...allowed,
      patienceMs: Math.min(PATIENCE_MS, options.budget.remainingMs()),
      strict: isFirst,
    };
    try {
      await runFirst(session, table, task, begun, phaseOptions);
      await runPhases(session, table, await remaining(session, table, task), phaseOptions);
    } catch (thrown) {
      const error = explainFailure(session, thrown);
      // Also after an interruption, and when the budget is spent.
      const standing = await undoTask(session, table, task.undo ?? [], phaseOptions);
      left.set(task, standing.map(describeLeft));
      const state = await settle(session, table, task, phaseOptions);
      if (state === task.leaf.state && task.kind === 'detach') begun.delete(task);
      changed ||= state !== null && state !== task.leaf.state;
      const failure = failureOf(task, error, state, standing);
      if (endsTheRun(failure, task, error)) throw error;
      if (isNobodysWish(task, failure)) {
        left.set(task, [describeIncomplete(failure)]);
        return 'refused';
      }
      failed.set(task, failure);
      return failure.reason === BLOCKED ? 'blocked' : 'refused';
    }
    failed.delete(task);
    left.delete(task);
    done.add(task);
    changed ||= task.kind !== 'forget';
    return 'done';
  };
  const error = await inRounds(tasks, options, attempt).then(
    () => null,
    (thrown) => explainFailure(session, thrown),
  );
  return {
    done: tasks.filter((task) => done.has(task)),
    failed: [...failed.values()],
    error,
    changed,
    warnings: [...left.values()].flat(),
  };
}

/** Runs what is to be done first, from where an earlier round of this run stopped. */
async function runFirst(
  session: Session,
  table: PartitionedTable,
  task: LeafTask,
  begun: Map<LeafTask, number>,
  options: PhaseOptions,
): Promise<void> {
  for (const [at, phase] of task.first.entries()) {
    if (at < (begun.get(task) ?? 0)) continue;
    await runPhases(session, table, [phase], options);
    begun.set(task, at + 1);
  }
}

async function remaining(
  session: Session,
  table: PartitionedTable,
  task: LeafTask,
): Promise<readonly Phase[]> {
  const { replan, leaf, rest, anew } = task;
  const { fresh, noted } = await reading(session, async () => ({
    fresh: (await readLeafFacts(session, table, [leaf.oid])).get(leaf.oid),
    noted: (await readDetached(session, table, leaf.oid))[0],
  }));
  // Somebody renamed or dropped it: the guard of what was foreseen says so.
  if (fresh === undefined) return rest;
  return noted === undefined ? (anew?.(fresh) ?? rest) : replan(fresh, noted);
}

function explainFailure(session: Session, thrown: unknown): SensordbError {
  return toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
}

/** A failure of a leaf lets the others go on, but for one that the others would have, too. */
function endsTheRun({ exitCode }: Failure, { isSelected }: LeafTask, error: SensordbError): boolean {
  if (exitCode !== EXIT.failed) return !PER_LEAF.has(exitCode);
  // What fails over a leaf that nobody asked for in this run holds up none that was.
  return isSelected || !PER_LEAF_CODES.has(error.facts.code);
}

const PER_LEAF: ReadonlySet<number> = new Set([EXIT.busy, EXIT.refused, EXIT.no]);
const PER_LEAF_CODES: ReadonlySet<string> = new Set(['sql_error', 'insufficient_privilege']);

/** Looks what a failed task left: of a leaf that is as it was nothing stays noted. Null when it cannot be told. */
async function settle(session: Session, table: PartitionedTable, task: LeafTask, options: PhaseOptions) {
  try {
    if (task.kind === 'detach') await runPhases(session, table, [forgetPhase(task.leaf)], options);
    return await reading(session, () => readLeafState(session, table, task.leaf));
  } catch {
    return null; // The reason why the task failed is on its way to the user.
  }
}
