import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction, underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import { readDetachedIfAllowed } from './detached.ts';
import {
  type Conflict,
  type EnsurePlan,
  type NewLeaf,
  planEnsure,
  refusedByServer,
  rowsInDefault,
} from './ensure-plan.ts';
import { readDefaultRows, readTakenNames, requirePrivileges } from './ensure-read.ts';
import { type EnsureRequest, type Hole, sketchEnsure } from './ensure-sketch.ts';
import { leafSteps } from './leaf-steps.ts';
import { readLeafTemplate } from './leaf-template-read.ts';
import { type Partitions, readPartitions } from './read.ts';

/** A plan with the SQL that carries it out: one list of steps for each leaf, in the order in which they are made. */
export interface PreparedEnsure {
  readonly table: PartitionedTable;
  readonly partitions: Partitions;
  readonly plan: EnsurePlan;
  readonly work: readonly { readonly leaf: NewLeaf; readonly steps: readonly Step[] }[];
}

/**
 * Reads and plans: which leaves are missing, which of them can be made, and by which SQL; changes nothing.
 *
 * Throws usage errors for what was asked, `insufficient_privilege` when the role may not do what is to be done.
 */
export async function prepareEnsure(
  session: Session,
  table: PartitionedTable,
  request: EnsureRequest,
  now: Instant,
  options: RunOptions,
): Promise<PreparedEnsure> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const sketch = sketchEnsure(table, partitions.leaves, request, now);
  const nothing = { taken: new Map(), defaultRows: new Map() };
  if (sketch.holes.length === 0) {
    return { table, partitions, plan: planEnsure(table, sketch, partitions, nothing), work: [] };
  }
  const taken = await readTaken(session, table);
  const defaultRows = await readRowsInTheWay(session, table, partitions, sketch.holes, options);
  const plan = planEnsure(table, sketch, partitions, { taken, defaultRows });
  if (plan.create.length === 0) return { table, partitions, plan, work: [] };
  // pg_get_indexdef and the like take ACCESS SHARE on the parent and its indexes.
  const locks = [{ relation: table.qualified, mode: 'ACCESS SHARE' as const }];
  const template = await underBudget(session, `Read ${table.qualified}`, locks, options, () =>
    reading(
      session,
      async () => {
        await requirePrivileges(session, table);
        return await readLeafTemplate(session, table, partitions.leaves);
      },
      options.budget.lockTimeoutMs,
    ),
  );
  const names = new Set([...taken.keys(), ...plan.create.map(({ name }) => name)]);
  const work = urgentFirst(plan.create, now).map((leaf, at) => ({
    leaf,
    steps: leafSteps(table, leaf, template, names, at + 1),
  }));
  return { table, partitions, plan, work };
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

/** Counts the rows of DEFAULT in each hole, waiting for it under the budget. */
export async function readRowsInTheWay(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  holes: readonly Hole[],
  options: RunOptions,
) {
  const { default: defaultPartition } = partitions;
  if (defaultPartition === null) return new Map();
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  return await underBudget(session, `Count the rows of ${relation}`, locks, options, () =>
    reading(
      session,
      () => readDefaultRows(session, table, defaultPartition, holes),
      options.budget.lockTimeoutMs,
    ),
  );
}

/** What a run of `partitions ensure` came to. */
export interface EnsureResult {
  readonly created: readonly NewLeaf[];
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
  onLeaf: (leaf: NewLeaf) => void,
): Promise<EnsureResult> {
  const created: NewLeaf[] = [];
  const conflicts: Conflict[] = [...prepared.plan.conflicts];
  for (const { leaf, steps } of prepared.work) {
    onLeaf(leaf);
    try {
      await runTransaction(session, steps, options);
      created.push(leaf);
    } catch (thrown) {
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
