import type { PartitionedTable } from '../db/catalog.ts';
import { type Drift, type Finding, groupBy, type Member } from './drift.ts';
import type { IndexTemplate, LeafTemplate } from './leaf-template.ts';
import type { Job, ParentIndex } from './repair-jobs.ts';
import type { IndexName, Lacking, LooseIndex, TableIndex } from './repair-read-indexes.ts';

/** What is known of the indexes of a table and its partitions. */
export interface IndexFacts {
  readonly table: PartitionedTable;
  readonly template: LeafTemplate;
  /** All partitions, at any depth. */
  readonly members: readonly Member[];
  readonly tableIndexes: readonly TableIndex[];
  readonly lacking: readonly Lacking[];
  readonly loose: readonly LooseIndex[];
  /** Names that are taken, by schema; those that are given out are added. */
  readonly taken: ReadonlyMap<string, Set<string>>;
}

interface PlannedIndex {
  readonly name: string;
  readonly job: Job;
}

/** What is to be done about indexes. */
export interface IndexPlan {
  readonly jobs: readonly Job[];
  readonly refusals: readonly Finding[];
  /** By leaf and index of the table: see `indexKey`. */
  readonly planned: ReadonlyMap<string, PlannedIndex>;
}

/** The plan in the making, and the facts at hand. */
export interface IndexState extends IndexFacts {
  readonly jobs: Job[];
  readonly refusals: Finding[];
  readonly planned: Map<string, PlannedIndex>;
  /** Loose indexes that something is planned with already. */
  readonly used: Set<number>;
  readonly lackingAt: ReadonlyMap<string, Lacking>;
  readonly looseOf: ReadonlyMap<number, readonly LooseIndex[]>;
  readonly childrenOf: ReadonlyMap<number, readonly Member[]>;
}

/** Where an index belongs: on which leaf, for which of the table's, under which. */
export interface Place {
  readonly member: Member;
  readonly index: TableIndex;
  readonly template: IndexTemplate;
  readonly parent: ParentIndex;
  /** The job that makes the parent's index, if it is still to be made. */
  readonly needs: Job | null;
}

/** Begins a plan. */
export function indexState(facts: IndexFacts): IndexState {
  return {
    ...facts,
    jobs: [],
    refusals: [],
    planned: new Map(),
    used: new Set(),
    lackingAt: new Map(facts.lacking.map((one) => [indexKey(one, one.root), one])),
    looseOf: groupBy(facts.loose, ({ relation }) => relation),
    childrenOf: groupBy(facts.members, ({ parentOid }) => parentOid),
  };
}

/** Names the place of a leaf's index. */
export function indexKey(member: { readonly oid: number }, root: number): string {
  return `${member.oid}/${root}`;
}

/** Adds a job to the plan. */
export function addJob({ jobs }: IndexState, job: Job): Job {
  jobs.push(job);
  return job;
}

/** What a leaf has attached at a place: a valid index, an invalid one, or none. */
export function attachedAt(
  state: IndexState,
  { member, index, parent }: Place,
): 'valid' | 'none' | NonNullable<Lacking['attached']> {
  const lack = state.lackingAt.get(indexKey(member, index.oid));
  if (lack === undefined) return 'valid';
  if (lack.attached !== null) return lack.attached;
  // To an index of a partition in between that is not attached itself.
  const below = state.looseOf
    .get(member.oid)
    ?.find((one) => one.parent !== null && one.parent === parent.oid);
  if (below === undefined) return 'none';
  return below.valid ? 'valid' : { ...below, child: null };
}

/** Lists the indexes of a leaf that are attached to nothing and index the same as one of the table's. */
export function looseAlike(state: IndexState, member: Member, index: TableIndex): readonly LooseIndex[] {
  const shape = state.looseOf.get(state.table.oid)?.find(({ oid }) => oid === index.oid)?.shape;
  return (state.looseOf.get(member.oid) ?? []).filter(
    (one) => one.parent === null && !state.used.has(one.oid) && one.shape === shape,
  );
}

/**
 * Tells whether an index that is there can be attached. One of a partitioned leaf may be invalid: it is, until the last of its
 * own partitions has one.
 */
export function isUsable(
  one: LooseIndex,
  member: Member,
  { constraintType, constraintTiming }: IndexTemplate,
): boolean {
  if (!one.valid && member.kind === 'plain') return false;
  if (constraintType === null) return true;
  // PostgreSQL makes a constraint of an index on a plain table alone (14 to 18).
  const mayBecomeOne = one.constraint === null && member.kind === 'plain';
  return mayBecomeOne || one.constraint === constraintType + constraintTiming;
}

/** Tells whether an index is what an interrupted CREATE or REINDEX INDEX CONCURRENTLY left. */
export function isLeftover(one: LooseIndex, member: Member): boolean {
  return !one.valid && one.constraint === null && member.kind === 'plain';
}

/** Says how an index of a leaf is amiss. */
export function indexDrift(member: Member, { name }: IndexName, found: string): Drift {
  return { name: member.name, kind: 'indexes', what: `index ${name}`, expected: 'attached', found };
}
