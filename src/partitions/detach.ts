import type { Warning } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { Instant, Range } from '../time/instant.ts';
import { checkOf } from './bound-check.ts';
import {
  completionPhases,
  type DetachScene,
  detachPhases,
  finalizePhases,
  sessionTimeout,
  wayOf,
} from './detach-phases.ts';
import { type DetachRequest, decideDetach, sketchDetach } from './detach-plan.ts';
import { requireTarget } from './detach-target.ts';
import { describePublications } from './detach-warnings.ts';
import { type DetachedLeaf, readDetached } from './detached.ts';
import { askGate, type Refusal } from './gate.ts';
import { type LeafFacts, readLeafFacts } from './leaf-facts.ts';
import { forgetPhase } from './leaf-statements.ts';
import type { LeafTask } from './leaf-tasks.ts';
import { readWidePublications } from './publications.ts';
import { readPartitions } from './read.ts';
import { readRelations } from './relations.ts';
import { findForgotten, type Unfinished } from './unfinished.ts';

/** A plan of detach with the phases that carry it out. */
export interface PreparedDetach {
  readonly request: DetachRequest;
  /** What interrupted runs left behind comes first. */
  readonly tasks: readonly LeafTask[];
  readonly refused: readonly Refusal[];
  readonly already: readonly string[];
  /** What `--no-gate` passed over. */
  readonly overridden: readonly Refusal[];
  readonly warnings: readonly Warning[];
}

/** Reads and plans, and asks the gate; changes nothing. Throws usage errors for what was asked. */
export async function prepareDetach(
  session: Session,
  table: PartitionedTable,
  request: DetachRequest,
  now: Instant,
  options: RunOptions,
): Promise<PreparedDetach> {
  const { partitions, detached } = await reading(session, async () => ({
    partitions: await readPartitions(session, table),
    detached: await readDetached(session, table),
  }));
  const sketch = sketchDetach(table, partitions, detached, request, now);
  const gated = await askGate(session, table, sketch.chosen, 'detach');
  const decision = decideDetach(table, partitions, sketch, gated, request.gate, now);
  const { unfinished, moved, selected, already } = sketch;
  const beginning = new Set(decision.detach.map(({ oid }) => oid));
  const forgotten = findForgotten(partitions, detached).filter(({ oid }) => !beginning.has(oid));
  const concerned = [...forgotten, ...unfinished.map(({ leaf }) => leaf), ...decision.detach, ...moved];
  const common = { request, refused: decision.refused, already, overridden: decision.overridden };
  if (concerned.length === 0) return { ...common, tasks: [], warnings: [] };
  const oids = concerned.map(({ oid }) => oid);
  const { scene, facts, wide } = await reading(session, async () => ({
    scene: await readScene(session, table, oids, options),
    facts: await readLeafFacts(session, table, oids),
    wide: await readWidePublications(session),
  }));
  const of = ({ oid }: { readonly oid: number }): LeafFacts => facts.get(oid) as LeafFacts;
  const there = <T extends { readonly leaf: { readonly oid: number } }>(item: T): boolean =>
    facts.has(item.leaf.oid);
  const wanted = (oid: number): string | null => (selected.has(oid) ? request.intoSchema : null);
  const { gate } = request;
  const all: readonly LeafTask[] = [
    ...forgotten.filter(({ oid }) => facts.has(oid)).map((leaf) => forgetTask(leaf, of(leaf))),
    ...unfinished.filter(there).map((item) => unfinishedTask(scene, item, of(item.leaf), wanted)),
    ...decision.detach
      .filter((leaf) => facts.has(leaf.oid))
      .map((leaf) => detachTask(scene, of(leaf), leaf.range, wanted(leaf.oid), gate)),
    ...moved.filter(({ oid }) => facts.has(oid)).map((leaf) => moveTask(scene, leaf, of(leaf), wanted)),
  ];
  const tasks = all.map((task) => ({
    ...task,
    isSelected: task.kind !== 'forget' && selected.has(task.leaf.oid),
  }));
  await reading(session, () => requireTarget(session, request.intoSchema, tasks));
  return {
    ...common,
    tasks,
    warnings: [
      ...describeWay(scene, decision.detach.length),
      ...describePublications(
        tasks.filter(({ kind }) => kind !== 'forget'),
        wide,
      ),
    ],
  };
}

/** Reads what the phases of a detach depend on, for leaves by their OIDs. */
export async function readScene(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
  options: RunOptions,
): Promise<DetachScene> {
  return {
    table,
    relations: await readRelations(session, table, oids),
    versionNum: session.server.versionNum,
    timeoutMs: sessionTimeout(session, options),
  };
}

function detachTask(
  scene: DetachScene,
  leaf: LeafFacts,
  range: Range,
  targetSchema: string | null,
  gate: boolean,
): LeafTask {
  const task = { leaf, range, targetSchema };
  const first = detachPhases(scene, task, gate);
  return { kind: 'detach', isSelected: true, ...task, first, ...later(scene, leaf, range, targetSchema) };
}

function unfinishedTask(
  scene: DetachScene,
  item: Unfinished,
  leaf: LeafFacts,
  wanted: (oid: number) => string | null,
): LeafTask {
  const { range } = item.leaf;
  const { noted } = item;
  const targetSchema = wanted(leaf.oid) ?? noted?.targetSchema ?? null;
  const isKnown = noted !== null && noted.targetSchema === targetSchema;
  const task = { leaf, range, targetSchema, isSelected: true };
  if (item.kind === 'pending') {
    const first = finalizePhases(scene, task, isKnown);
    return { kind: 'finalize', ...task, first, ...later(scene, leaf, range, targetSchema) };
  }
  return { kind: 'complete', ...task, first: [], ...completion(scene, leaf, item.noted, targetSchema) };
}

/** Makes the task that changes nothing of a leaf but the note of it: no later run takes it for one that it has to complete. */
export function forgetTask({ range }: DetachedLeaf, leaf: LeafFacts): LeafTask {
  const first = [forgetPhase(leaf)];
  return {
    kind: 'forget',
    leaf,
    range,
    targetSchema: null,
    isSelected: true,
    first,
    rest: [],
    replan: () => [],
  };
}

function moveTask(
  scene: DetachScene,
  noted: DetachedLeaf,
  leaf: LeafFacts,
  wanted: (oid: number) => string | null,
): LeafTask {
  const targetSchema = wanted(leaf.oid);
  const { range } = noted;
  const task = { leaf, range, targetSchema, isSelected: true, first: [] };
  return { kind: 'move', ...task, ...completion(scene, leaf, noted, targetSchema) };
}

/** What completes a leaf that is attached yet: foreseen, and worked out anew from what is there by then. */
function later(scene: DetachScene, leaf: LeafFacts, range: Range, targetSchema: string | null) {
  const bound = leaf.bound ?? '';
  const way = leaf.state === 'attached' ? wayOf(scene) : 'concurrently';
  const check = way === 'concurrently' ? { name: '', isValid: true } : null;
  const task = { leaf, range, targetSchema, bound };
  const foreseen = completionPhases(scene, task, check, 'detaching');
  return {
    rest: way === 'concurrently' ? foreseen : foreseen.slice(1),
    replan: (fresh: LeafFacts, noted: DetachedLeaf) => completion(scene, fresh, noted, targetSchema).rest,
  };
}

function completion(scene: DetachScene, leaf: LeafFacts, noted: DetachedLeaf, targetSchema: string | null) {
  const replan = (fresh: LeafFacts, { range, bound, state, ...check }: DetachedLeaf) =>
    completionPhases(scene, { leaf: fresh, range, targetSchema, bound }, checkOf(check), state);
  return { rest: replan(leaf, noted), replan };
}

function describeWay(scene: DetachScene, count: number): readonly Warning[] {
  const byDefault = scene.relations.default;
  if (byDefault === null || count === 0) return [];
  const message = `Not CONCURRENTLY: PostgreSQL refuses that beside a DEFAULT partition (${byDefault.relation}). Each leaf is detached under a brief ACCESS EXCLUSIVE lock on ${scene.table.qualified} instead.`;
  return [{ code: 'brief_lock', message }];
}
