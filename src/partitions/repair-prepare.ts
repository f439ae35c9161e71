import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { DRIFT_KINDS, type DriftKind, groupBy, type Member } from './drift.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { newestLeaf, readLeafTemplate } from './leaf-template-read.ts';
import { type Partitions, readPartitions } from './read.ts';
import { planRepair, type RepairFacts, type RepairPlan } from './repair-plan.ts';
import { readGrantsFound, readMembers, readTargetsFound } from './repair-read.ts';
import { readIdentitiesFound, readIndexOptions, readNamesIn } from './repair-read-index-state.ts';
import { readLacking, readLooseIndexes, readTableIndexes } from './repair-read-indexes.ts';
import { readPoliciesFound, readTriggersFound } from './repair-read-rules.ts';
import type { RepairRequest } from './repair-request.ts';
import { findByName } from './select.ts';

/** A plan for a table. */
export interface PreparedRepair extends RepairPlan {
  readonly table: PartitionedTable;
  readonly members: readonly Member[];
}

/**
 * Reads what has drifted and plans how it is mended; changes nothing.
 *
 * The number of queries is fixed, and none waits for a lock on a partition. Throws usage errors for what was asked.
 */
export async function prepareRepair(
  session: Session,
  table: PartitionedTable,
  request: RepairRequest,
  options: RunOptions,
): Promise<PreparedRepair> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const members = inOrder(table, partitions, await reading(session, () => readMembers(session, table)));
  const chosen = choose(table, members, request.names);
  // pg_get_indexdef and the like take ACCESS SHARE on the parent and its indexes.
  const locks = [{ relation: table.qualified, mode: 'ACCESS SHARE' as const }];
  const template = await underBudget(session, `Read ${table.qualified}`, locks, options, () =>
    reading(session, () => readLeafTemplate(session, table, partitions.leaves), options.budget.lockTimeoutMs),
  );
  const facts = await reading(session, () =>
    readFacts(session, table, partitions, members, template, request.kinds),
  );
  return { ...planRepair({ ...facts, chosen }, request.kinds), table, members };
}

/**
 * Finds what has drifted, in the caller's transaction, as `partitions repair` does, but for indexes, for the triggers of the
 * aggregates, of which their own status tells, and for the privileges on partitions that nobody ever granted any on: who comes
 * through the table needs none there.
 *
 * Waits for the table alone: pg_get_indexdef and the like take ACCESS SHARE on it.
 */
export async function findDrift(session: Session, table: PartitionedTable): Promise<PreparedRepair> {
  const kinds = new Set(DRIFT_KINDS.filter((kind) => kind !== 'indexes'));
  const partitions = await readPartitions(session, table);
  const members = inOrder(table, partitions, await readMembers(session, table));
  const template = await readLeafTemplate(session, table, partitions.leaves);
  const facts = await readFacts(session, table, partitions, members, template, kinds);
  const onColumns = facts.grants.filter(({ column }) => column !== null).map(({ oid }) => oid);
  const touched = new Set([
    ...members.filter(({ hasGrants }) => hasGrants).map(({ oid }) => oid),
    ...onColumns,
  ]);
  const grants = facts.grants.filter(({ oid }) => touched.has(oid));
  const triggers = facts.triggers.filter(({ isLog }) => !isLog);
  const chosen = choose(table, members, []);
  return { ...planRepair({ ...facts, grants, triggers, chosen }, kinds), table, members };
}

const NO_INDEXES: RepairFacts['indexes'] = { lacking: [], tableIndexes: [], loose: [], taken: new Map() };

async function readIndexFacts(
  session: Session,
  table: PartitionedTable,
  members: readonly Member[],
): Promise<RepairFacts['indexes']> {
  const oids = members.map(({ oid }) => oid);
  const lacking = await readLacking(session, table, oids);
  const incomplete = new Set(lacking.map(({ oid }) => oid));
  const schemas = new Set(members.filter(({ oid }) => incomplete.has(oid)).map(({ schema }) => schema));
  return {
    lacking,
    tableIndexes: await readTableIndexes(session, table),
    loose: await readLooseIndexes(session, table, oids),
    taken: await readNamesIn(session, [...schemas]),
  };
}

async function readFacts(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  members: readonly Member[],
  template: LeafTemplate,
  kinds: ReadonlySet<DriftKind>,
): Promise<Omit<RepairFacts, 'chosen'>> {
  const oids = members.map(({ oid }) => oid);
  const model = newestLeaf(partitions.leaves)?.oid ?? 0;
  return {
    table,
    template,
    members,
    versionNum: session.server.versionNum,
    isSuperuser: await readIsSuperuser(session),
    grants: await readGrantsFound(session, table, oids),
    targets: await readTargetsFound(session, table, oids),
    policies: await readPoliciesFound(session, [table.oid, ...oids]),
    triggers: await readTriggersFound(session, table, oids),
    identities: await readIdentitiesFound(session, table, oids),
    indexOptions: await readIndexOptions(session, table, oids, model),
    indexes: kinds.has('indexes') ? await readIndexFacts(session, table, members) : NO_INDEXES,
  };
}

async function readIsSuperuser(session: Session): Promise<boolean> {
  const { rows } = await session.run<{ is: boolean }>(
    'select rolsuper as is from pg_roles where rolname = current_user',
  );
  return rows[0]?.is === true;
}

/** Puts partitions in the order of their lower bounds, DEFAULT last, and what is below one right after it. */
function inOrder(
  table: PartitionedTable,
  { leaves, default: defaultPartition }: Partitions,
  members: readonly Member[],
): readonly Member[] {
  const place = new Map(leaves.map(({ oid }, at) => [oid, at]));
  if (defaultPartition !== null) place.set(defaultPartition.oid, leaves.length);
  const below = groupBy(members, ({ parentOid }) => parentOid);
  const list = (parent: number): readonly Member[] =>
    (below.get(parent) ?? [])
      .toSorted((a, b) => (place.get(a.oid) ?? 0) - (place.get(b.oid) ?? 0) || (a.name < b.name ? -1 : 1))
      .flatMap((member) => [member, ...list(member.oid)]);
  return list(table.oid);
}

/** Finds the leaves that were named, and what is below them; all of them when none was. */
function choose(
  table: PartitionedTable,
  members: readonly Member[],
  names: readonly string[],
): ReadonlySet<number> {
  if (names.length === 0) return new Set(members.map(({ oid }) => oid));
  const chosen = new Set(names.map((text) => findByName(table, members, text).oid));
  for (const { oid, parentOid } of members) if (chosen.has(parentOid)) chosen.add(oid);
  return chosen;
}
