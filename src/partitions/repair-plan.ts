import type { PartitionedTable } from '../db/catalog.ts';
import {
  DRIFT_KINDS,
  type Drift,
  type DriftKind,
  type Finding,
  groupBy,
  type Member,
  type Refused,
} from './drift.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { compareOwner, compareTargets, compareTriggers } from './repair-compare.ts';
import { compareGrants } from './repair-grants.ts';
import { compareIdentity, type Planned } from './repair-identity.ts';
import { planIndexes } from './repair-index-plan.ts';
import type { IndexFacts, IndexPlan } from './repair-index-state.ts';
import { alterJob, type Job } from './repair-jobs.ts';
import { compareIndexOptions, compareStorage } from './repair-options.ts';
import { compareRowSecurity } from './repair-policies.ts';
import type { FoundGrant, TargetFound } from './repair-read.ts';
import type { IdentityFound, IndexOptions } from './repair-read-index-state.ts';
import type { PolicyFound, TriggerFound } from './repair-read-rules.ts';

/** All that the catalog says of the drift of a table's partitions. */
export interface RepairFacts {
  readonly table: PartitionedTable;
  readonly versionNum: number;
  readonly isSuperuser: boolean;
  readonly template: LeafTemplate;
  /** In the order in which they are reported: by their lower bounds, DEFAULT last, sub-partitions after their own. */
  readonly members: readonly Member[];
  /** Those of them that were asked for. */
  readonly chosen: ReadonlySet<number>;
  readonly grants: readonly FoundGrant[];
  readonly targets: readonly TargetFound[];
  /** Of the partitions and of the table. */
  readonly policies: readonly PolicyFound[];
  readonly triggers: readonly TriggerFound[];
  readonly identities: readonly IdentityFound[];
  readonly indexOptions: readonly IndexOptions[];
  readonly indexes: Pick<IndexFacts, 'tableIndexes' | 'lacking' | 'loose' | 'taken'>;
}

/** What drifted, and what is done about it. */
export interface RepairPlan {
  readonly drifts: readonly Drift[];
  readonly refused: readonly Refused[];
  readonly jobs: readonly Job[];
}

/** Decides what of the drift is mended, and how; pure. */
export function planRepair(facts: RepairFacts, kinds: ReadonlySet<DriftKind>): RepairPlan {
  const indexPlan: IndexPlan = kinds.has('indexes')
    ? planIndexes({ ...facts, ...facts.indexes })
    : { jobs: [], refusals: [], planned: new Map() };
  const compare = comparer(facts, kinds, indexPlan);
  const jobs: Job[] = [];
  const findings: Finding[] = [...indexPlan.refusals];
  const indexJobs = groupBy(indexPlan.jobs, ({ member }) => member.oid);
  for (const member of facts.members) {
    const own = DRIFT_KINDS.filter((kind) => kinds.has(kind)).flatMap((kind) => compare(kind, member));
    findings.push(...own.map(({ finding }) => finding));
    const mendable = own.filter(({ finding }) => finding.fix.how === 'alter');
    const atOnce = mendable.filter(({ after }) => after === null).map(({ finding }) => finding);
    if (atOnce.length > 0) jobs.push(alterJob(member, atOnce));
    jobs.push(...(indexJobs.get(member.oid) ?? []));
    jobs.push(
      ...mendable.flatMap(({ finding, after }) =>
        after === null ? [] : [alterJob(member, [finding], after)],
      ),
    );
  }
  jobs.push(...(indexJobs.get(facts.table.oid) ?? []));
  const isWanted = ({ member }: { readonly member: Member }): boolean =>
    facts.chosen.has(member.oid) ||
    (member.oid === facts.table.oid && facts.members.every(({ oid }) => facts.chosen.has(oid)));
  const chosen = findings.filter(isWanted);
  const work = jobs.filter(isWanted);
  return {
    drifts: inOrder(facts, [
      ...chosen.map(({ member, drift }) => ({ oid: member.oid, drift })),
      ...work
        .filter((job) => indexPlan.jobs.includes(job))
        .flatMap(({ member, drifts }) => drifts.map((drift) => ({ oid: member.oid, drift }))),
    ]),
    refused: chosen.flatMap(({ fix }) => (fix.how === 'refuse' ? [fix.refused] : [])),
    jobs: work,
  };
}

/** A drift, and whose it is: names are unique within a schema only. */
interface Owned {
  readonly oid: number;
  readonly drift: Drift;
}

function inOrder({ members }: RepairFacts, drifts: readonly Owned[]): readonly Drift[] {
  const place = new Map(members.map(({ oid }, at) => [oid, at]));
  const rank = ({ oid }: Owned): number => place.get(oid) ?? -1;
  const kind = ({ drift }: Owned): number => DRIFT_KINDS.indexOf(drift.kind);
  return drifts.toSorted((a, b) => rank(a) - rank(b) || kind(a) - kind(b)).map(({ drift }) => drift);
}

function comparer(facts: RepairFacts, kinds: ReadonlySet<DriftKind>, indexPlan: IndexPlan) {
  const { table, template, versionNum } = facts;
  const of = <V extends { readonly oid: number }>(rows: readonly V[]) => {
    const groups = groupBy(rows, ({ oid }) => oid);
    return (oid: number): readonly V[] => groups.get(oid) ?? [];
  };
  const targets = of(facts.targets);
  const policies = of(facts.policies);
  const triggers = of(facts.triggers);
  const options = of(facts.indexOptions);
  const grants = of(facts.grants);
  const identities = new Map(facts.identities.map((one) => [one.oid, one]));
  const scene = { template, versionNum, ownerIsMended: kinds.has('owner') };
  const plain = (findings: readonly Finding[]): readonly Planned[] =>
    findings.map((finding) => ({ finding, after: null }));

  return (kind: DriftKind, member: Member): readonly Planned[] => {
    const { oid } = member;
    if (kind === 'owner') return plain(compareOwner(member, template));
    if (kind === 'grants') return plain(compareGrants(member, scene, grants(oid)));
    // A foreign table has none of the rest of its own, or has it on its server.
    if (member.kind === 'foreign') return [];
    switch (kind) {
      case 'row_security':
        return plain(compareRowSecurity(table, member, template, policies(table.oid), policies(oid)));
      case 'replica_identity':
        return compareIdentity(member, identities.get(oid), template, indexPlan);
      case 'triggers':
        return plain(compareTriggers(member, triggers(oid), facts.isSuperuser));
      case 'index_options':
        return plain(compareIndexOptions(member, options(oid)));
      case 'storage_parameters':
        return plain(compareStorage(member, template));
      case 'statistics_targets':
        return plain(compareTargets(member, targets(oid)));
      case 'indexes':
        return [];
    }
  };
}
