import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { runSteps } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { joinWork, type Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import { forEach, measureDefaultScan, tooLarge } from './default-scan.ts';
import { readDetachedIfAllowed } from './detached.ts';
import { NO_MOVES, type PreparedMoves, prepareMoves } from './drain.ts';
import { type MovedPeriod, runMoves } from './drain-moves.ts';
import { BATCH_ROWS } from './drain-request.ts';
import {
  type Conflict,
  type EnsureFacts,
  type EnsurePlan,
  type NewLeaf,
  planEnsure,
  refusedByServer,
  rowsInDefault,
} from './ensure-plan.ts';
import { readRowsInTheWay, readTakenNames, readTemplate } from './ensure-read.ts';
import type { EnsureWishes } from './ensure-request.ts';
import { type Hole, sketchEnsure } from './ensure-sketch.ts';
import { type GuardSteps, guardSteps, leftGuardSteps, removeGuard } from './guard.ts';
import { leafSteps } from './leaf-steps.ts';
import { type Partitions, readPartitions } from './read.ts';

/** A plan with the SQL that carries it out: one list of steps for each leaf, in the order in which they are made. */
export interface PreparedEnsure {
  readonly table: PartitionedTable;
  readonly partitions: Partitions;
  readonly plan: EnsurePlan;
  readonly work: readonly {
    readonly leaf: NewLeaf;
    readonly steps: readonly Step[];
    /** What keeps rows of its period out of DEFAULT meanwhile. */
    readonly guard: GuardSteps | null;
  }[];
  /** Periods whose rows are moved out of DEFAULT, into leaves made for them. */
  readonly moves: PreparedMoves;
}

/**
 * Reads and plans: which leaves are missing, which of them can be made, and by which SQL; changes nothing.
 *
 * Throws usage errors for what was asked, `insufficient_privilege` when the role may not do what is to be done.
 */
export async function prepareEnsure(
  session: Session,
  table: PartitionedTable,
  request: EnsureWishes,
  now: Instant,
  options: RunOptions,
): Promise<PreparedEnsure> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const sketch = sketchEnsure(table, partitions.leaves, request, now);
  const nothing = { taken: new Map(), defaultRows: new Map() };
  if (sketch.holes.length === 0) {
    return {
      table,
      partitions,
      plan: planEnsure(table, sketch, partitions, nothing),
      work: [],
      moves: NO_MOVES,
    };
  }
  const taken = await readTaken(session, table);
  const defaultRows = await readRowsInTheWay(session, table, partitions, sketch.holes, options);
  const wanted = planEnsure(table, sketch, partitions, { taken, defaultRows }, request.drain);
  const { plan, guarded } = await heedDefault(session, table, partitions, wanted, request, options);
  const moves = await prepareDrained(session, table, partitions, plan, taken, request, options);
  const whole = { ...plan, conflicts: [...plan.conflicts, ...moves.conflicts] };
  const work = await prepareWork(session, table, partitions, plan, taken, guarded, now, options);
  return { table, partitions, plan: whole, work, moves };
}

async function prepareWork(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  plan: EnsurePlan,
  taken: EnsureFacts['taken'],
  guarded: boolean,
  now: Instant,
  options: RunOptions,
): Promise<PreparedEnsure['work']> {
  if (plan.create.length === 0) return [];
  const template = await readTemplate(session, table, partitions, options);
  const names = new Set([...taken.keys(), ...plan.create.map(({ name }) => name)]);
  return urgentFirst(plan.create, now).map((leaf, at) => {
    const steps = leafSteps(table, leaf, template, names, at + 1);
    const guard = guarded && partitions.default !== null ? guardSteps(table, partitions.default, leaf) : null;
    return { leaf, steps: guard === null ? steps : underGuard(steps, guard), guard };
  });
}

/** Puts the making of a leaf between a guard's making and its end. */
function underGuard(steps: readonly Step[], { add, validate, drop }: GuardSteps): readonly Step[] {
  return joinWork([add, validate, [...steps, ...drop].map((step) => ({ ...step, transaction: 1 }))]);
}

/** Turns all leaves into conflicts beside a DEFAULT that ATTACH would scan for too long, unless a guard is allowed. */
async function heedDefault(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  plan: EnsurePlan,
  { guardDefault }: EnsureWishes,
  options: RunOptions,
): Promise<{ readonly plan: EnsurePlan; readonly guarded: boolean }> {
  const { default: from } = partitions;
  if (from === null || plan.create.length === 0) return { plan, guarded: false };
  const scan = await measureDefaultScan(session, table, from, options);
  if (scan === null || guardDefault) return { plan, guarded: scan !== null };
  const conflicts = [...plan.conflicts, ...forEach(plan.create, tooLarge(table, from, scan))];
  return { plan: { ...plan, create: [], conflicts }, guarded: false };
}

async function prepareDrained(
  session: Session,
  table: PartitionedTable,
  { default: from, leaves }: Partitions,
  plan: EnsurePlan,
  taken: EnsureFacts['taken'],
  request: EnsureWishes,
  options: RunOptions,
): Promise<PreparedMoves> {
  if (from === null || plan.drain.length === 0) return NO_MOVES;
  return await prepareMoves(session, table, { leaves, default: from }, plan.drain, taken, request, options);
}

/** Reads the names that are taken, and which of them are leaves that were detached from this table. */
async function readTaken(session: Session, table: PartitionedTable) {
  const taken = new Map(await reading(session, () => readTakenNames(session, table)));
  for (const { schema, name, range } of (await readDetachedIfAllowed(session, table)) ?? []) {
    const found = taken.get(name);
    if (schema === table.schema && found?.partitionOf === null) {
      taken.set(name, { ...found, detachedRange: range });
    }
  }
  return taken;
}

/** The present and the future before the past: it is there that inserts would fail. */
function urgentFirst(leaves: readonly NewLeaf[], now: Instant): readonly NewLeaf[] {
  const isPast = ({ range }: NewLeaf): boolean => range.upper <= now;
  return [...leaves.filter((leaf) => !isPast(leaf)), ...leaves.filter(isPast)];
}

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
