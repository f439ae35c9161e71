import type { Warning } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { adoptPhase, attachPhases } from './attach-phases.ts';
import { type AttachCandidate, adopt, overlapOf, requireSameRange, sketchAttach } from './attach-plan.ts';
import { findStranger, readColumnConflicts, readDefaultConflicts, readRowsOutside } from './attach-read.ts';
import type { AttachRequest } from './attach-request.ts';
import { checkOf } from './bound-check.ts';
import { readScene } from './detach.ts';
import { type DetachScene, finalizePhases } from './detach-phases.ts';
import { type DetachedLeaf, type PublicationMembership, readDetached } from './detached.ts';
import type { Refusal } from './gate.ts';
import { type LeafFacts, readLeafFacts } from './leaf-facts.ts';
import type { LeafTask } from './leaf-tasks.ts';
import { type PublicationRights, readPublicationRights } from './publications.ts';
import { type Partitions, readPartitions } from './read.ts';

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
  const { partitions, candidates, existing } = await readCandidates(session, table, request);
  const { free, conflicts } = await sortOut(session, table, partitions, candidates, options);
  if (free.length === 0) return { partitions, tasks: [], conflicts, existing, warnings: [] };
  const oids = free.map(({ oid }) => oid);
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
    return leaf === undefined ? [] : [attachTask(scene, candidate, leaf, rights)];
  });
  const warnings = free.flatMap((candidate) => describeRights(candidate, rights));
  return { partitions, tasks, conflicts, existing, warnings };
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
        return { partitions, candidates: [adopt(table, stranger, request.range)], existing: [] };
      }
      requireSameRange(known, request.range);
    }
    return { partitions, ...sketchAttach(table, partitions, detached, request) };
  });
}

/** Sorts out the candidates that cannot be attached as things are. */
async function sortOut(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  candidates: readonly AttachCandidate[],
  options: RunOptions,
): Promise<{ readonly free: readonly AttachCandidate[]; readonly conflicts: readonly Refusal[] }> {
  if (candidates.length === 0) return { free: [], conflicts: [] };
  const conflicts: Refusal[] = candidates.flatMap(
    (candidate) => overlapOf(table, partitions, candidate) ?? [],
  );
  const free = () => candidates.filter(({ name }) => !conflicts.some((conflict) => conflict.name === name));
  conflicts.push(...(await reading(session, () => readColumnConflicts(session, table, free()))));
  for (const candidate of free().filter(({ kind }) => kind === 'stranger')) {
    const outside = await readRowsOutside(session, table, candidate, options);
    if (outside !== null) conflicts.push(outside);
  }
  conflicts.push(...(await readDefaultConflicts(session, table, partitions.default, free(), options)));
  return { free: free(), conflicts };
}

function attachTask(
  scene: DetachScene,
  candidate: AttachCandidate,
  leaf: LeafFacts,
  rights: PublicationRights,
): LeafTask {
  const { kind, range, bound, noted } = candidate;
  const common = { leaf, range, targetSchema: noted?.homeSchema ?? leaf.schema, isSelected: true };
  const phases = (fresh: LeafFacts, known: DetachedLeaf) =>
    attachPhases(scene, taskOf(fresh, known, rights), checkOf(known));
  if (kind === 'detached') {
    return { kind: 'attach', ...common, first: [], rest: phases(leaf, candidate.noted), replan: null };
  }
  const task = { leaf, bound, homeSchema: leaf.schema, publications: [] };
  if (kind === 'stranger') {
    const first = [adoptPhase(scene, leaf, range, bound)];
    return { kind: 'attach', ...common, first, rest: attachPhases(scene, task, null), replan: phases };
  }
  const first = finalizePhases(scene, { leaf, range, targetSchema: null }, noted !== null);
  // DETACH CONCURRENTLY made the CHECK in its first half.
  const check = noted === null ? null : checkOf(noted);
  return { kind: 'attach', ...common, first, rest: attachPhases(scene, task, check), replan: phases };
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
