import type { Warning } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { ADOPTION_CHECK, adoptPhases, attachPhases, disownPhase, phaseOf } from './attach-phases.ts';
import { type AttachCandidate, adopt, requireSameRange, sketchAttach } from './attach-plan.ts';
import { findStranger } from './attach-read.ts';
import type { AttachRequest } from './attach-request.ts';
import { sortOut } from './attach-sort.ts';
import { checkOf } from './bound-check.ts';
import { forgetTask, readScene } from './detach.ts';
import { type DetachScene, finalizePhases } from './detach-phases.ts';
import { type DetachedLeaf, type PublicationMembership, readDetached } from './detached.ts';
import type { Refusal } from './gate.ts';
import { guardSteps, guardWarning, leftGuardSteps } from './guard.ts';
import { type LeafFacts, readLeafFacts } from './leaf-facts.ts';
import type { LeafTask } from './leaf-tasks.ts';
import type { Undo } from './leaf-undo.ts';
import { type PublicationRights, readPublicationRights } from './publications.ts';
import { type DefaultPartition, GUARD, type Partitions, readPartitions } from './read.ts';

/** A plan of attach with the phases that carry it out. */
export interface PreparedAttach {
  readonly partitions: Partitions;
  readonly tasks: readonly LeafTask[];
  readonly conflicts: readonly Refusal[];
  readonly existing: readonly string[];
  readonly warnings: readonly Warning[];
}

/** Reads and plans: what can be attached, and what stands against it; changes nothing. Throws usage errors. */
export async function prepareAttach(
  session: Session,
  table: PartitionedTable,
  request: AttachRequest,
  options: RunOptions,
): Promise<PreparedAttach> {
  const { partitions, candidates, existing, begun } = await readCandidates(session, table, request);
  const { free, conflicts, guarded } = await sortOut(
    session,
    table,
    partitions,
    candidates,
    request,
    options,
  );
  if (free.length + begun.length === 0) return { partitions, tasks: [], conflicts, existing, warnings: [] };
  const oids = [...free, ...begun].map(({ oid }) => oid);
  const memberships = free.flatMap(({ noted }) => noted?.publications ?? []);
  const { scene, facts, rights } = await reading(session, async () => ({
    scene: await readScene(session, table, oids, options),
    facts: await readLeafFacts(session, table, oids),
    rights: await readPublicationRights(
      session,
      memberships.map(({ name }) => name),
    ),
  }));
  const tasks = free.flatMap((candidate) => {
    const leaf = facts.get(candidate.oid);
    return leaf === undefined ? [] : [attachTask(scene, candidate, leaf, rights, guarded)];
  });
  const warnings = [
    ...free.flatMap((candidate) => describeRights(candidate, rights)),
    ...(guarded === null ? [] : [guardWarning(guarded, free)]),
  ];
  // Otherwise a later run would take what somebody detaches by hand for its own, and move it away.
  const forget = begun.flatMap((noted) => {
    const leaf = facts.get(noted.oid);
    return leaf === undefined ? [] : [forgetTask(noted, leaf)];
  });
  return { partitions, tasks: [...forget, ...afterGuard(partitions, tasks)], conflicts, existing, warnings };
}

/** What an interrupted run left on DEFAULT refuses live rows: it goes first. */
function afterGuard(partitions: Partitions, [first, ...others]: readonly LeafTask[]): readonly LeafTask[] {
  if (first === undefined) return [];
  const left = phaseOf(leftGuardSteps(partitions.default));
  return [{ ...first, first: [...left, ...first.first] }, ...others];
}

async function readCandidates(session: Session, table: PartitionedTable, request: AttachRequest) {
  return await reading(session, async () => {
    const partitions = await readPartitions(session, table);
    const detached = await readDetached(session, table);
    const [name] = request.names;
    if (request.range !== null && name !== undefined) {
      const stranger = await findStranger(session, name);
      const known = [...partitions.leaves, ...detached].find(({ oid }) => oid === stranger.oid);
      if (known === undefined) {
        return { partitions, candidates: [adopt(table, stranger, request.range)], existing: [], begun: [] };
      }
      requireSameRange(known, request.range);
    }
    return { partitions, ...sketchAttach(table, partitions, detached, request) };
  });
}

function attachTask(
  scene: DetachScene,
  candidate: AttachCandidate,
  leaf: LeafFacts,
  rights: PublicationRights,
  guarded: DefaultPartition | null,
): LeafTask {
  const guard = guarded === null ? null : guardSteps(scene.table, guarded, candidate);
  const { kind, range, bound, noted } = candidate;
  const common = {
    leaf,
    range,
    targetSchema: noted?.homeSchema ?? leaf.schema,
    isSelected: true,
    undo: undoGuard(guarded, guard?.drop ?? []),
  };
  const phases = (fresh: LeafFacts, known: DetachedLeaf) =>
    attachPhases(scene, { ...taskOf(fresh, known, rights), guard }, checkOf(known));
  if (kind === 'detached') {
    return { kind: 'attach', ...common, first: [], rest: phases(leaf, candidate.noted), replan: phases };
  }
  const task = { leaf, bound, homeSchema: leaf.schema, publications: [], guard };
  if (kind === 'stranger') {
    const own = {
      oid: leaf.oid,
      relation: leaf.relation,
      constraint: ADOPTION_CHECK,
      phase: disownPhase(leaf),
    };
    const anew = (fresh: LeafFacts) => adoptPhases(scene, { ...task, leaf: fresh }, range);
    const undo = [own, ...common.undo];
    return { kind: 'attach', ...common, undo, first: [], rest: anew(leaf), anew, replan: anew };
  }
  const first = finalizePhases(scene, { leaf, range, targetSchema: null }, noted !== null);
  // DETACH CONCURRENTLY made the CHECK in its first half.
  const check = noted === null ? null : checkOf(noted);
  return { kind: 'attach', ...common, first, rest: attachPhases(scene, task, check), replan: phases };
}

function undoGuard(guarded: DefaultPartition | null, drop: readonly Step[]): readonly Undo[] {
  if (guarded === null) return [];
  const { oid, schema, name } = guarded;
  const relation = qualifiedName(schema, name);
  return phaseOf(drop).map((phase) => ({ oid, relation, constraint: GUARD, phase }));
}

function taskOf(leaf: LeafFacts, noted: DetachedLeaf, rights: PublicationRights) {
  const publications = noted.publications.filter(
    ({ name }) => rights.get(name) === 'ours' && !leaf.publications.some((member) => member.name === name),
  );
  return { leaf, bound: noted.bound, homeSchema: noted.homeSchema, publications };
}

function describeRights({ noted, name }: AttachCandidate, rights: PublicationRights): readonly Warning[] {
  const message = (publication: PublicationMembership): string | null => {
    switch (rights.get(publication.name) ?? 'gone') {
      case 'gone':
        return `Publication ${publication.name}, of which ${name} was a member, is no more.`;
      case 'theirs':
        return `${name} was a member of publication ${publication.name}, which is another role's: have its owner add it again.`;
      case 'ours':
        return null;
    }
  };
  return (noted?.publications ?? []).flatMap((publication) => {
    const text = message(publication);
    return text === null ? [] : [{ code: 'publication_not_joined', message: text }];
  });
}
