import type { SensordbError } from '../cli/errors.ts';
import { EXIT } from '../cli/exit-codes.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { reading } from '../db/transaction.ts';
import type { Range } from '../time/instant.ts';
import { type DetachedLeaf, readDetached } from './detached.ts';
import { type LeafFacts, readLeafFacts, readLeafState } from './leaf-facts.ts';
import { type Failure, failureOf } from './leaf-failures.ts';
import { type Phase, runPhases } from './leaf-work.ts';

/** All the work on one leaf. */
export interface LeafTask {
  readonly kind: 'detach' | 'finalize' | 'complete' | 'move' | 'attach';
  readonly leaf: LeafFacts;
  readonly range: Range;
  readonly targetSchema: string | null;
  /** It was asked for; what an interrupted run left behind is done all the same. */
  readonly isSelected: boolean;
  /** What is done first; after it the catalog is looked at again. */
  readonly first: readonly Phase[];
  /** What is foreseen to come after that. */
  readonly rest: readonly Phase[];
  /** Works the rest out from what is there by then; null when it is known from the beginning. */
  readonly replan: ((fresh: LeafFacts, noted: DetachedLeaf) => readonly Phase[]) | null;
}

/** What came of tasks. */
export interface TaskResult {
  readonly done: readonly LeafTask[];
  readonly failed: readonly Failure[];
  /** What ended the run before its time; what is done stands all the same. */
  readonly error: SensordbError | null;
  /** Something was changed: of a leaf that failed, too. */
  readonly changed: boolean;
}

/** Works off tasks one by one; one leaf that is blocked or refused does not stop the others. */
export async function runTasks(
  session: Session,
  table: PartitionedTable,
  tasks: readonly LeafTask[],
  options: RunOptions,
  onTask: (task: LeafTask) => void,
): Promise<TaskResult> {
  const done: LeafTask[] = [];
  const failed: Failure[] = [];
  let changed = false;
  for (const task of tasks) {
    onTask(task);
    try {
      await runTask(session, table, task, options);
      done.push(task);
      changed = true;
    } catch (thrown) {
      const error = explainFailure(session, thrown);
      const state = await settle(session, table, task, options);
      changed ||= state !== null && state !== task.leaf.state;
      const failure = failureOf(task, error, state);
      if (endsTheRun(failure, task, error)) return { done, failed, error, changed };
      failed.push(failure);
    }
  }
  return { done, failed, error: null, changed };
}

async function runTask(
  session: Session,
  table: PartitionedTable,
  task: LeafTask,
  options: RunOptions,
): Promise<void> {
  await runPhases(session, table, task.first, options);
  await runPhases(session, table, await remaining(session, table, task), options);
}

async function remaining(
  session: Session,
  table: PartitionedTable,
  task: LeafTask,
): Promise<readonly Phase[]> {
  const { replan, leaf, rest } = task;
  if (replan === null) return rest;
  const { fresh, noted } = await reading(session, async () => ({
    fresh: (await readLeafFacts(session, table, [leaf.oid])).get(leaf.oid),
    noted: (await readDetached(session, table, leaf.oid))[0],
  }));
  // Somebody renamed or dropped it: the guard of what was foreseen says so.
  return fresh === undefined || noted === undefined ? rest : replan(fresh, noted);
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
async function settle(session: Session, table: PartitionedTable, task: LeafTask, options: RunOptions) {
  try {
    const state = await reading(session, () => readLeafState(session, table, task.leaf));
    if (task.kind === 'detach' && state === 'attached') {
      const sql = sqlStatement('partitions/note_attached.sql', { leaf_oid: String(task.leaf.oid) });
      const title = `Leave ${task.leaf.name}`;
      await runPhases(session, table, [{ kind: 'transaction', title, statements: [{ sql }] }], options);
    }
    return state;
  } catch {
    return null; // The reason why the task failed is on its way to the user.
  }
}
