import type { SensordbError } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import type { Instant } from '../time/instant.ts';
import { setAsideDropped } from './drop-already.ts';
import { type Kept, keepLastLeaf, planDrop } from './drop-plan.ts';
import { readCandidates, readSelected, refuseDefault, relationOf, type SelectedLeaf } from './drop-read.ts';
import type { DropRequest } from './drop-request.ts';
import { dropSteps } from './drop-steps.ts';
import { askGate, type Gated, overrideGate, type Refusal } from './gate.ts';
import { BLOCKED, refusalOf } from './refusals.ts';
import { readRelations } from './relations.ts';
import { inRounds, type TryResult } from './rounds.ts';
import { selectLeaves } from './select.ts';

/** One leaf to be dropped, and how. */
export interface DropWork {
  readonly leaf: SelectedLeaf;
  /** The partitions below it, which go with it. */
  readonly below: readonly string[];
  /** It is attached, and could be detached without a lock that holds up readers and writers. */
  readonly isDetachable: boolean;
  readonly steps: readonly Step[];
}

/** A plan with the SQL that carries it out, in the order of the leaves' lower bounds. */
export interface PreparedDrop {
  readonly table: PartitionedTable;
  readonly selected: readonly SelectedLeaf[];
  readonly work: readonly DropWork[];
  readonly refused: readonly Refusal[];
  readonly kept: readonly Kept[];
  /** Names of leaves that were dropped before. */
  readonly already: readonly string[];
  /** The reasons of the gate that `--no-gate` passes over. */
  readonly overridden: readonly Refusal[];
}

/**
 * Reads and plans: which leaves are to go, which are refused and why; changes nothing.
 *
 * Given what was agreed to, it leaves out what was not among it. Throws usage errors for what was asked.
 */
export async function prepareDrop(
  session: Session,
  table: PartitionedTable,
  request: DropRequest,
  now: Instant,
  agreed: PreparedDrop | null,
): Promise<PreparedDrop> {
  const candidates = await readCandidates(session, table);
  refuseDefault(table, candidates, request.selection);
  const { selection, already } = await setAsideDropped(session, table, candidates.leaves, request.selection);
  const chosen = selectLeaves(table, candidates.leaves, selection, now);
  const selected = await readSelected(session, agreed === null ? chosen : among(chosen, agreed.selected));
  const plan = planDrop(table, selected, request, now);
  const { standing, overridden } = await passGate(session, table, plan.drop, request);
  const held = new Set(standing.map(({ oid }) => oid));
  const free = plan.drop.filter(({ oid }) => !held.has(oid));
  const wanted =
    agreed === null
      ? free
      : among(
          free,
          agreed.work.map(({ leaf }) => leaf),
        );
  const attached = candidates.leaves.filter(({ state }) => state === 'attached').length;
  const { drop, refused } = keepLastLeaf(table, wanted, attached);
  return {
    table,
    selected,
    work: await makeWork(session, table, drop, request.gate),
    refused: [
      ...plan.refused,
      ...standing,
      ...free.filter((leaf) => !wanted.includes(leaf)).map(notAgreed),
      ...refused,
    ],
    kept: plan.kept,
    already,
    overridden,
  };
}

async function passGate(
  session: Session,
  table: PartitionedTable,
  leaves: readonly SelectedLeaf[],
  { gate }: DropRequest,
) {
  const asked = await askGate(session, table, leaves, 'drop');
  return gate ? { standing: asked, overridden: [] } : overrideGate(asked, 'drop');
}

function among<Leaf extends Gated>(leaves: readonly Leaf[], others: readonly Gated[]): readonly Leaf[] {
  const oids = new Set(others.map(({ oid }) => oid));
  return leaves.filter(({ oid }) => oids.has(oid));
}

/** Between the question and the lock others may work on the table: what could not be dropped then was not asked about. */
function notAgreed(leaf: SelectedLeaf): Refusal {
  return {
    name: leaf.name,
    reason: 'changed',
    message: `${relationOf(leaf)} could not be dropped when you were asked, and can be by now.`,
    hint: 'Run it again.',
  };
}

async function makeWork(
  session: Session,
  table: PartitionedTable,
  drop: readonly SelectedLeaf[],
  gate: boolean,
): Promise<readonly DropWork[]> {
  if (drop.length === 0) return [];
  const oids = drop.map(({ oid }) => oid);
  const relations = await reading(session, () => readRelations(session, table, oids));
  const scene = { table, relations, versionNum: session.server.versionNum };
  return drop.map((leaf) => ({
    leaf,
    below: relations.leaves.get(leaf.oid)?.below ?? [],
    isDetachable: leaf.state === 'attached' && relations.default === null,
    steps: dropSteps(scene, leaf, gate),
  }));
}

/** What a run of `partitions drop` came to. */
export interface DropResult {
  readonly dropped: readonly DropWork[];
  /** Those of the plan, and those that came up on the way. */
  readonly refused: readonly Refusal[];
  /** What ended the run before its time; what is dropped is dropped all the same. */
  readonly error: SensordbError | null;
}

/** Drops the leaves of a plan, each in a transaction of its own; one that is refused or blocked does not stop the others. */
export async function runDrop(
  session: Session,
  { table, work, refused }: PreparedDrop,
  options: RunOptions,
  onLeaf: (leaf: SelectedLeaf) => void,
): Promise<DropResult> {
  const dropped: DropWork[] = [];
  const held = new Map<DropWork, Refusal>();
  const attempt = async (piece: DropWork, allowed: RunOptions): Promise<TryResult> => {
    onLeaf(piece.leaf);
    try {
      await runTransaction(session, piece.steps, allowed);
    } catch (thrown) {
      session.signal.throwIfAborted();
      const refusal = refusalOf(piece.leaf.name, thrown);
      if (refusal === null) throw thrown;
      held.set(piece, refusal.reason === BLOCKED ? adviseDetach(table, piece, refusal) : refusal);
      return refusal.reason === BLOCKED ? 'blocked' : 'refused';
    }
    held.delete(piece);
    dropped.push(piece);
    return 'done';
  };
  const error = await inRounds(work, options, attempt).then(
    () => null,
    (thrown) => toSensordbError(session.signal.aborted ? session.signal.reason : thrown),
  );
  return { dropped, refused: [...refused, ...held.values()], error };
}

/** DETACH CONCURRENTLY gets past idle transactions that hold a lock on the parent; the drop of an attached leaf does not. */
function adviseDetach(table: PartitionedTable, { leaf, isDetachable }: DropWork, refusal: Refusal): Refusal {
  if (!isDetachable) return refusal;
  const advice = `A weaker lock on ${table.qualified} will do for: sensordb partitions detach ${relationOf(leaf)} --table ${table.qualified}; then drop it.`;
  return { ...refusal, hint: `${refusal.hint} ${advice}` };
}
