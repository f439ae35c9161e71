import type { Check } from './check.ts';
import { autovacuumLag } from './checks/autovacuum-lag.ts';
import { deadRows } from './checks/dead-rows.ts';
import { defaultRows } from './checks/default-rows.ts';
import { detachPending } from './checks/detach-pending.ts';
import { duplicateIds } from './checks/duplicate-ids.ts';
import { orphanedLeaf } from './checks/orphaned-leaf.ts';
import { parentStatistics } from './checks/parent-statistics.ts';
import { partitionBounds } from './checks/partition-bounds.ts';
import { partitionDrift } from './checks/partition-drift.ts';
import { partitionGaps } from './checks/partition-gaps.ts';
import { partitionSkew } from './checks/partition-skew.ts';
import { replicaIdentity } from './checks/replica-identity.ts';
import { runway } from './checks/runway.ts';
import { sequenceExhaustion } from './checks/sequence-exhaustion.ts';
import { wraparound } from './checks/wraparound.ts';

/** Every check there is, in the order in which they are run and listed. */
export const CHECKS: readonly Check[] = [
  // indexes
  // partitions
  detachPending,
  runway,
  partitionGaps,
  partitionBounds,
  defaultRows,
  orphanedLeaf,
  partitionSkew,
  partitionDrift,
  // tables
  parentStatistics,
  deadRows,
  autovacuumLag,
  wraparound,
  sequenceExhaustion,
  duplicateIds,
  replicaIdentity,
  // aggregates
  // activity
];
