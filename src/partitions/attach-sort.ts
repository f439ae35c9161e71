import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { type AttachCandidate, overlapOf } from './attach-plan.ts';
import { isBounded, readColumnConflicts, readDefaultConflicts, readRowsOutside } from './attach-read.ts';
import type { AttachRequest } from './attach-request.ts';
import { measureDefaultScan, tooLarge } from './default-scan.ts';
import type { LeafRefusal, Refusal } from './gate.ts';
import type { DefaultPartition, Partitions } from './read.ts';

/** The candidates that can be attached, and what stands against the others. */
export interface Sorted {
  readonly free: readonly AttachCandidate[];
  readonly conflicts: readonly Refusal[];
  /** The DEFAULT partition, if it is to be guarded. */
  readonly guarded: DefaultPartition | null;
}

/** Sorts out the candidates that cannot be attached as things are. */
export async function sortOut(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  candidates: readonly AttachCandidate[],
  request: AttachRequest,
  options: RunOptions,
): Promise<Sorted> {
  if (candidates.length === 0) return { free: [], conflicts: [], guarded: null };
  const conflicts: LeafRefusal[] = candidates.flatMap(
    (candidate) => overlapOf(table, partitions, candidate) ?? [],
  );
  const free = () => candidates.filter(({ oid }) => !conflicts.some((conflict) => conflict.oid === oid));
  conflicts.push(...(await reading(session, () => readColumnConflicts(session, table, free()))));
  for (const candidate of free().filter(({ kind }) => kind === 'stranger')) {
    const outside = await readRowsOutside(session, table, candidate, options);
    if (outside !== null) conflicts.push(outside);
  }
  const byDefault = partitions.default;
  if (byDefault === null || free().length === 0) return { free: free(), conflicts, guarded: null };
  conflicts.push(...(await readDefaultConflicts(session, table, byDefault, free(), options)));
  const scan = free().length === 0 ? null : await measureDefaultScan(session, table, byDefault, options);
  if (scan === null) return { free: free(), conflicts, guarded: null };
  const { reason, message, hint } = tooLarge(table, byDefault, scan);
  const isGuarded = ({ range }: AttachCandidate): boolean => request.guardDefault && isBounded(range);
  const large = free().filter((candidate) => !isGuarded(candidate));
  conflicts.push(...large.map(({ oid, name }) => ({ oid, name, reason, message, hint })));
  return { free: free(), conflicts, guarded: byDefault };
}
