import type { Check } from './check.ts';
import { aggregatesBehind } from './checks/aggregates-behind.ts';
import { aggregatesTrigger } from './checks/aggregates-trigger.ts';
import { aggregatesUnverified } from './checks/aggregates-unverified.ts';
import { autovacuumLag } from './checks/autovacuum-lag.ts';
import { brinEffectiveness } from './checks/brin-effectiveness.ts';
import { brinPagesPerRange } from './checks/brin-pages-per-range.ts';
import { brinUnsummarized } from './checks/brin-unsummarized.ts';
import { correlation } from './checks/correlation.ts';
import { deadRows } from './checks/dead-rows.ts';
import { defaultRows } from './checks/default-rows.ts';
import { detachPending } from './checks/detach-pending.ts';
import { duplicateIds } from './checks/duplicate-ids.ts';
import { foreignKeyWithoutIndex } from './checks/foreign-key-without-index.ts';
import { indexBloat } from './checks/index-bloat.ts';
import { indexDuplicate } from './checks/index-duplicate.ts';
import { indexInvalid } from './checks/index-invalid.ts';
import { indexMissingOnLeaf } from './checks/index-missing-on-leaf.ts';
import { indexParentInvalid } from './checks/index-parent-invalid.ts';
import { indexUnused } from './checks/index-unused.ts';
import { longTransactions } from './checks/long-transactions.ts';
import { orphanedLeaf } from './checks/orphaned-leaf.ts';
import { parentStatistics } from './checks/parent-statistics.ts';
import { partitionBounds } from './checks/partition-bounds.ts';
import { partitionDrift } from './checks/partition-drift.ts';
import { partitionGaps } from './checks/partition-gaps.ts';
import { partitionSkew } from './checks/partition-skew.ts';
import { preparedTransactions } from './checks/prepared-transactions.ts';
import { queryPruning } from './checks/query-pruning.ts';
import { replicaIdentity } from './checks/replica-identity.ts';
import { replicationSlots } from './checks/replication-slots.ts';
import { runway } from './checks/runway.ts';
import { sequenceExhaustion } from './checks/sequence-exhaustion.ts';
import { wraparound } from './checks/wraparound.ts';

/** Every check there is, in the order in which they are run and listed. */
export const CHECKS: readonly Check[] = [
  // indexes
  indexInvalid,
  indexParentInvalid,
  indexMissingOnLeaf,
  indexDuplicate,
  indexUnused,
  indexBloat,
  brinUnsummarized,
  brinEffectiveness,
  correlation,
  brinPagesPerRange,
  // partitions
  runway,
  partitionGaps,
  partitionBounds,
  defaultRows,
  detachPending,
  orphanedLeaf,
  partitionSkew,
  partitionDrift,
  queryPruning,
  // tables
  parentStatistics,
  deadRows,
  autovacuumLag,
  wraparound,
  foreignKeyWithoutIndex,
  sequenceExhaustion,
  duplicateIds,
  replicaIdentity,
  // aggregates
  aggregatesBehind,
  aggregatesTrigger,
  aggregatesUnverified,
  // activity
  longTransactions,
  preparedTransactions,
  replicationSlots,
];
