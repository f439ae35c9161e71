import type { Check } from './check.ts';
import { aggregatesBehind } from './checks/aggregates-behind.ts';
import { aggregatesTrigger } from './checks/aggregates-trigger.ts';
import { aggregatesUnverified } from './checks/aggregates-unverified.ts';
import { brinEffectiveness } from './checks/brin-effectiveness.ts';
import { brinUnsummarized } from './checks/brin-unsummarized.ts';
import { correlation } from './checks/correlation.ts';
import { detachPending } from './checks/detach-pending.ts';
import { foreignKeyWithoutIndex } from './checks/foreign-key-without-index.ts';
import { indexBloat } from './checks/index-bloat.ts';
import { indexDuplicate } from './checks/index-duplicate.ts';
import { indexInvalid } from './checks/index-invalid.ts';
import { indexMissingOnLeaf } from './checks/index-missing-on-leaf.ts';
import { indexParentInvalid } from './checks/index-parent-invalid.ts';
import { indexUnused } from './checks/index-unused.ts';
import { longTransactions } from './checks/long-transactions.ts';
import { preparedTransactions } from './checks/prepared-transactions.ts';
import { queryPruning } from './checks/query-pruning.ts';
import { replicaIdentity } from './checks/replica-identity.ts';
import { replicationSlots } from './checks/replication-slots.ts';
import { sequenceExhaustion } from './checks/sequence-exhaustion.ts';
import { wraparound } from './checks/wraparound.ts';

/** Every check there is, in the order in which they are run and listed. */
export const CHECKS: readonly Check[] = [
  // indexes
  brinEffectiveness,
  brinUnsummarized,
  correlation,
  indexBloat,
  indexDuplicate,
  indexInvalid,
  indexMissingOnLeaf,
  indexParentInvalid,
  indexUnused,
  // partitions
  detachPending,
  queryPruning,
  // tables
  foreignKeyWithoutIndex,
  replicaIdentity,
  sequenceExhaustion,
  wraparound,
  // aggregates
  aggregatesBehind,
  aggregatesTrigger,
  aggregatesUnverified,
  // activity
  longTransactions,
  preparedTransactions,
  replicationSlots,
];
