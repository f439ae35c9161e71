import type { Member } from './drift.ts';
import { nameIndexes } from './index-names.ts';
import { guardIndex } from './repair-guard.ts';
import {
  addJob,
  attachedAt,
  type IndexFacts,
  type IndexPlan,
  type IndexState,
  indexDrift,
  indexKey,
  indexState,
  isLeftover,
  isUsable,
  looseAlike,
  type Place,
} from './repair-index-state.ts';
import { refuseExclusion, revalidate, validateTable } from './repair-index-validity.ts';
import {
  addConstraint,
  attachIndex,
  buildIndex,
  createOnly,
  dropIndex,
  furnishIndex,
  type KnownIndex,
  makeJob,
  type ParentIndex,
  reindex,
} from './repair-jobs.ts';
import { missingOptions, setIndexOption } from './repair-options.ts';
import type { IndexName, Lacking, LooseIndex, TableIndex } from './repair-read-indexes.ts';

/** Decides how the indexes come about that leaves lack; pure but for the names that it takes. */
export function planIndexes(facts: IndexFacts): IndexPlan {
  const state = indexState(facts);
  const { table, members } = facts;
  for (const index of facts.tableIndexes) {
    const template = facts.template.indexes.find(({ oid }) => oid === index.oid);
    const parent: ParentIndex = { ...index, relation: table.qualified };
    for (const member of members) {
      if (member.parentOid !== table.oid) continue;
      if (index.isExclusion) refuseExclusion(state, member, index);
      else if (template !== undefined) visit(state, { member, index, template, parent, needs: null });
    }
    if (!index.valid && !index.isExclusion) validateTable(state, index, parent);
  }
  return state;
}

function visit(state: IndexState, place: Place): void {
  const { member, index } = place;
  if (member.kind === 'foreign') return;
  const attached = attachedAt(state, place);
  if (attached === 'none') {
    if (member.kind === 'plain') completeLeaf(state, place);
    else completePartitioned(state, place);
  } else if (attached !== 'valid') {
    if (member.kind === 'plain') rebuild(state, place, attached);
    else completeBelow(state, place, attached);
  }
  dropLeftovers(state, member, index);
}

/** Gives a leaf the index that it lacks: one that it has aside, or a new one. */
function completeLeaf(state: IndexState, place: Place): void {
  const { member, index, template } = place;
  const alike = looseAlike(state, member, index);
  const usable = alike.find((one) => isUsable(one, member, template));
  if (usable === undefined)
    build(
      state,
      place,
      alike.filter((one) => isLeftover(one, member)),
    );
  else adopt(state, place, usable);
}

function build(state: IndexState, place: Place, leftovers: readonly LooseIndex[]): void {
  const { member, index, template, parent, needs } = place;
  for (const { oid, schema, name } of leftovers) {
    state.used.add(oid);
    // It is dropped before the new one is built, which may well be called the same.
    state.taken.get(schema)?.delete(name);
  }
  const made: IndexName = { schema: member.schema, name: newName(state, place) };
  const constraint = template.constraintType === null ? [] : [addConstraint(member, template, made)];
  const pieces = [
    ...leftovers.map((leftover) => dropIndex(member, leftover)),
    buildIndex(member, template, made.name),
    [...constraint, attachIndex(made, member.qualified, parent), ...furnishIndex(member, template, made)],
  ];
  const drift = indexDrift(member, index, leftovers.length > 0 ? 'invalid' : 'missing');
  const job = addJob(state, makeJob(member, [drift], pieces, { needs, builds: made, drops: leftovers }));
  state.planned.set(indexKey(member, index.oid), { name: made.name, job });
}

function adopt(state: IndexState, place: Place, there: LooseIndex): void {
  const { member, index, template, parent, needs } = place;
  state.used.add(there.oid);
  const wantsConstraint = template.constraintType !== null && there.constraint === null;
  const statements = [
    ...(wantsConstraint ? [addConstraint(member, template, there)] : []),
    attachIndex(there, member.qualified, parent),
    ...missingOptions(template.options, there.options).map((option) => setIndexOption(there, option)),
    guardIndex(member, there),
  ];
  const drift = indexDrift(member, index, `${there.name}, not attached`);
  const job = addJob(state, makeJob(member, [drift], [statements], { needs }));
  state.planned.set(indexKey(member, index.oid), { name: there.name, job });
}

/** Gives a partitioned leaf an index that is valid once each of its own partitions has attached its own, and those. */
function completePartitioned(state: IndexState, place: Place): void {
  const { member, index, template, parent, needs } = place;
  const usable = looseAlike(state, member, index).find((one) => isUsable(one, member, template));
  if (usable !== undefined) state.used.add(usable.oid);
  const made: IndexName = usable ?? { schema: member.schema, name: newName(state, place) };
  const create = usable === undefined ? [createOnly(member, template, made.name)] : [];
  const found = usable === undefined ? 'missing' : `${usable.name}, not attached`;
  const statements = [...create, attachIndex(made, member.qualified, parent)];
  const job = addJob(state, makeJob(member, [indexDrift(member, index, found)], [statements], { needs }));
  state.planned.set(indexKey(member, index.oid), { name: made.name, job });
  const next: ParentIndex = { ...made, oid: usable?.oid ?? null, relation: member.qualified };
  for (const child of state.childrenOf.get(member.oid) ?? []) {
    visit(state, { ...place, member: child, parent: next, needs: job });
  }
}

function rebuild(state: IndexState, place: Place, attached: KnownIndex): void {
  const { member, index, parent, needs } = place;
  const drift = indexDrift(member, index, `${attached.name}, invalid`);
  const again = attachIndex(attached, member.qualified, parent);
  const job = addJob(
    state,
    makeJob(member, [drift], [reindex(member, attached), [again]], { needs, rebuilds: attached }),
  );
  state.planned.set(indexKey(member, index.oid), { name: attached.name, job });
}

/** The index of a partitioned leaf is there, but one below it is not: or was not, and its leaf is gone. */
function completeBelow(state: IndexState, place: Place, attached: NonNullable<Lacking['attached']>): void {
  const { member, index, needs } = place;
  const own: ParentIndex = { ...attached, relation: member.qualified };
  const before = state.jobs.length;
  for (const child of state.childrenOf.get(member.oid) ?? []) {
    visit(state, { ...place, member: child, parent: own, needs });
  }
  if (state.jobs.length > before) return;
  const drift = indexDrift(member, index, `${attached.name}, invalid`);
  revalidate(state, member, drift, own, attached.child, attached.oid);
}

/** What an interrupted build left costs every write, and serves nobody. */
function dropLeftovers(state: IndexState, member: Member, index: TableIndex): void {
  for (const one of looseAlike(state, member, index)) {
    if (!isLeftover(one, member)) continue;
    state.used.add(one.oid);
    const drift = { ...indexDrift(member, one, 'an invalid leftover'), expected: 'none' };
    addJob(state, makeJob(member, [drift], [dropIndex(member, one)], { drops: [one] }));
  }
}

function newName({ taken }: IndexState, { member, template }: Place): string {
  return nameIndexes(member.name, [template], taken.get(member.schema) ?? new Set())[0] as string;
}
