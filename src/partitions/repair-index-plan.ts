import type { PartitionedTable } from '../db/catalog.ts';
import { type Drift, type Finding, groupBy, type Member, refusing } from './drift.ts';
import { nameIndexes } from './index-names.ts';
import type { IndexTemplate, LeafTemplate } from './leaf-template.ts';
import { missingOptions, setIndexOption } from './repair-compare.ts';
import {
  addConstraint,
  attachIndex,
  buildIndex,
  createOnly,
  dropIndex,
  furnishIndex,
  type Job,
  makeJob,
  type ParentIndex,
  reindex,
} from './repair-jobs.ts';
import type { AttachedIndex, IndexName, Lacking, LooseIndex, TableIndex } from './repair-read-indexes.ts';

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

/** An index that a leaf gets, or has. */
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

/** Names the place of a leaf's index. */
export function indexKey(member: { readonly oid: number }, root: number): string {
  return `${member.oid}/${root}`;
}

/** Decides how the indexes come about that leaves lack; pure but for the names that it takes. */
export function planIndexes(facts: IndexFacts): IndexPlan {
  const planner = createPlanner(facts);
  for (const index of facts.tableIndexes) {
    const template = facts.template.indexes.find(({ oid }) => oid === index.oid);
    const parent: ParentIndex = { ...index, relation: facts.table.qualified };
    for (const member of facts.members) {
      if (member.parentOid !== facts.table.oid) continue;
      if (index.isExclusion) planner.refuseExclusion(member, index);
      else if (template !== undefined) planner.visit(member, index, template, parent, null);
    }
    if (!index.valid && !index.isExclusion) planner.validate(index, parent);
  }
  return planner;
}

function createPlanner({ table, members, lacking, loose, taken }: IndexFacts) {
  const jobs: Job[] = [];
  const refusals: Finding[] = [];
  const planned = new Map<string, PlannedIndex>();
  const used = new Set<number>();
  const lackingAt = new Map(lacking.map((one) => [indexKey(one, one.root), one]));
  const looseOf = groupBy(loose, ({ relation }) => relation);
  const shapes = new Map(looseOf.get(table.oid)?.map(({ oid, shape }) => [oid, shape]));
  const childrenOf = groupBy(members, ({ parentOid }) => parentOid);

  const add = (job: Job): Job => {
    jobs.push(job);
    return job;
  };

  function visit(
    member: Member,
    index: TableIndex,
    template: IndexTemplate,
    parent: ParentIndex,
    needs: Job | null,
  ): void {
    if (member.kind === 'foreign') return;
    const lack = lackingAt.get(indexKey(member, index.oid));
    const below = looseOf
      .get(member.oid)
      ?.find(({ parent: above }) => above !== null && above === parent.oid);
    const attached = lack?.attached ?? (below === undefined ? null : { ...below, child: null });
    if (lack !== undefined && attached === null) complete(member, index, template, parent, needs);
    else if (attached !== null && !(below?.valid ?? false))
      revive(member, index, template, parent, attached, needs);
    dropLeftovers(member, index);
  }

  /** Gives a leaf the index that it lacks: one that it has aside, or a new one. */
  function complete(
    member: Member,
    index: TableIndex,
    template: IndexTemplate,
    parent: ParentIndex,
    needs: Job | null,
  ): void {
    const alike = (looseOf.get(member.oid) ?? []).filter((one) => isAlike(one, index));
    const usable = alike.find((one) => isUsable(one, member, template));
    if (usable !== undefined) used.add(usable.oid);
    const made: IndexName = usable ?? { schema: member.schema, name: newName(member, template) };
    const leftovers = usable === undefined ? alike.filter((one) => isLeftover(one, member)) : [];
    for (const { oid } of leftovers) used.add(oid);
    const found =
      usable !== undefined ? `${made.name}, not attached` : leftovers.length > 0 ? 'invalid' : 'missing';
    const attach = attachIndex(made, member.qualified, parent);
    const constraint =
      template.constraintType !== null && (usable?.constraint ?? null) === null
        ? [addConstraint(member, template, made)]
        : [];
    const drift = indexDrift(member, index, found);
    const key = indexKey(member, index.oid);
    if (member.kind === 'partitioned') {
      const create = usable === undefined ? [createOnly(member, template, made.name)] : [];
      const job = add(makeJob(member, [drift], [[...create, attach]], { needs }));
      planned.set(key, { name: made.name, job });
      const next: ParentIndex = { ...made, oid: usable?.oid ?? null, relation: member.qualified };
      for (const child of childrenOf.get(member.oid) ?? []) visit(child, index, template, next, job);
      return;
    }
    const furnish =
      usable === undefined
        ? furnishIndex(template, made)
        : missingOptions(template.options, usable.options).map((option) => setIndexOption(made, option));
    const build = usable === undefined ? [buildIndex(member, template, made.name)] : [];
    const pieces = [
      ...leftovers.map((leftover) => dropIndex(member, leftover)),
      ...build,
      [...constraint, attach, ...furnish],
    ];
    const builds = usable === undefined ? made : null;
    planned.set(key, { name: made.name, job: add(makeJob(member, [drift], pieces, { needs, builds })) });
  }

  /** Makes an attached index valid that is not. */
  function revive(
    member: Member,
    index: TableIndex,
    template: IndexTemplate,
    parent: ParentIndex,
    attached: NonNullable<Lacking['attached']>,
    needs: Job | null,
  ): void {
    const own: ParentIndex = { ...attached, relation: member.qualified };
    const drift = indexDrift(member, index, `${attached.name}, invalid`);
    const key = indexKey(member, index.oid);
    if (member.kind === 'plain') {
      const again = attachIndex(attached, member.qualified, parent);
      const job = add(makeJob(member, [drift], [reindex(member, attached), [again]], { needs }));
      planned.set(key, { name: attached.name, job });
      return;
    }
    const before = jobs.length + refusals.length;
    for (const child of childrenOf.get(member.oid) ?? []) visit(child, index, template, own, needs);
    if (jobs.length + refusals.length === before)
      revalidate(member, drift, own, attached.child, attached.oid);
  }

  /** Makes an index valid whose leaves all have theirs: the one that lacked it is gone, for example. */
  function validate(index: TableIndex, parent: ParentIndex): void {
    const self = tableAsMember(table);
    const drift = { ...indexDrift(self, index, 'invalid'), expected: 'valid' };
    if (members.some(({ kind }) => kind === 'foreign')) {
      refusals.push(
        refusing(self, drift, {
          reason: 'foreign_leaf',
          message: `Index ${index.name} of ${table.qualified} cannot become valid: a foreign table among its leaves can have no index.`,
          hint: `Drop it and make it with CREATE INDEX ON ${table.qualified}, which passes over foreign tables, but holds up writers while it builds.`,
        }),
      );
    } else if (!lacking.some(({ root }) => root === index.oid)) {
      revalidate(self, drift, parent, index.child, index.oid);
    }
  }

  function revalidate(
    member: Member,
    drift: Drift,
    own: ParentIndex,
    child: AttachedIndex | null,
    oid: number,
  ): void {
    if (child === null) return; // It has no leaves: nobody asks it for a row.
    add(makeJob(member, [drift], [[attachIndex(child, child.relation, own)]], { validates: oid }));
  }

  function refuseExclusion(member: Member, index: TableIndex): void {
    if (!lackingAt.has(indexKey(member, index.oid)) || member.kind === 'foreign') return;
    refusals.push(
      refusing(member, indexDrift(member, index, 'missing'), {
        reason: 'exclusion_constraint',
        message: `${member.qualified} lacks the exclusion constraint ${index.name}, and PostgreSQL attaches none that was made aside.`,
        hint: `Drop it from ${table.qualified} and add it again there, which holds up writers while it builds.`,
      }),
    );
  }

  /** What an interrupted CREATE or REINDEX INDEX CONCURRENTLY left costs every write, and serves nobody. */
  function dropLeftovers(member: Member, index: TableIndex): void {
    for (const one of looseOf.get(member.oid) ?? []) {
      if (!isAlike(one, index) || !isLeftover(one, member)) continue;
      used.add(one.oid);
      const drift = { ...indexDrift(member, one, 'an invalid leftover'), expected: 'none' };
      add(makeJob(member, [drift], [dropIndex(member, one)]));
    }
  }

  function isAlike(one: LooseIndex, index: TableIndex): boolean {
    return one.parent === null && !used.has(one.oid) && one.shape === shapes.get(index.oid);
  }

  function newName(member: Member, template: IndexTemplate): string {
    const names = taken.get(member.schema) ?? new Set<string>();
    return nameIndexes(member.name, [template], names)[0] as string;
  }

  return { jobs, refusals, planned, visit, validate, refuseExclusion };
}

/** An index of a partitioned leaf may be invalid: it is, until the last of its own partitions has one. */
function isUsable(
  one: LooseIndex,
  member: Member,
  { constraintType, constraintTiming }: IndexTemplate,
): boolean {
  if (!one.valid && member.kind === 'plain') return false;
  if (constraintType === null) return true;
  // PostgreSQL makes a constraint of an index on a plain table alone (14 to 18).
  return (
    one.constraint === constraintType + constraintTiming ||
    (one.constraint === null && member.kind === 'plain')
  );
}

function isLeftover(one: LooseIndex, member: Member): boolean {
  return !one.valid && one.constraint === null && member.kind === 'plain';
}

function indexDrift(member: Member, { name }: IndexName, found: string): Drift {
  return { name: member.name, kind: 'indexes', what: `index ${name}`, expected: 'attached', found };
}

function tableAsMember({ oid, schema, name, qualified, owner }: PartitionedTable): Member {
  const { parentOid, parentQualified } = { parentOid: 0, parentQualified: '' };
  const flags = { rowSecurity: false, forceRowSecurity: false, replicaIdentity: 'd', hasToast: false };
  return {
    oid,
    schema,
    name,
    qualified,
    owner,
    parentOid,
    parentQualified,
    kind: 'partitioned',
    options: [],
    toastOptions: [],
    ...flags,
  };
}
