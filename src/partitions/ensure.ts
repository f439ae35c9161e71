import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { joinWork, type Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import { forEach, measureDefaultScan, tooLarge } from './default-scan.ts';
import { readDetachedIfAllowed } from './detached.ts';
import { NO_MOVES, type PreparedMoves, prepareMoves } from './drain.ts';
import { type EnsureFacts, type EnsurePlan, type NewLeaf, planEnsure } from './ensure-plan.ts';
import { readRowsInTheWay, readTakenNames, readTemplate } from './ensure-read.ts';
import type { EnsureWishes } from './ensure-request.ts';
import { sketchEnsure } from './ensure-sketch.ts';
import { type GuardSteps, guardSteps } from './guard.ts';
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
