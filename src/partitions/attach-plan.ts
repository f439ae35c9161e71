import { usageError } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { formatInstantShort, type Range } from '../time/instant.ts';
import { periodStart } from '../time/periods.ts';
import type { AttachRequest } from './attach-request.ts';
import { boundText } from './bound-text.ts';
import type { DetachedLeaf } from './detached.ts';
import type { LeafRefusal } from './gate.ts';
import type { Leaf, Partitions } from './read.ts';
import { selectLeaves } from './select.ts';

/** A table that sensordb did not detach, as it is found by its name. */
export interface Stranger {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Of which table it is a partition; null: of none. */
  readonly parent: string | null;
}

/** What is to be attached: with which bounds, and what is known of it. */
export type AttachCandidate = {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
  readonly bound: string;
} & (
  | { readonly kind: 'detached'; readonly noted: DetachedLeaf }
  | { readonly kind: 'pending'; readonly noted: DetachedLeaf | null }
  | { readonly kind: 'stranger'; readonly noted: null }
);

/** What was chosen. */
export interface AttachSketch {
  readonly candidates: readonly AttachCandidate[];
  /** Of those that were named: what is attached already. */
  readonly existing: readonly string[];
  /** Of those: what a run that was cut is noted to detach. */
  readonly begun: readonly DetachedLeaf[];
}

/** Finds what was named among the leaves that there are and that there were; throws usage errors; pure. */
export function sketchAttach(
  table: PartitionedTable,
  partitions: Partitions,
  detached: readonly DetachedLeaf[],
  { names }: AttachRequest,
): AttachSketch {
  const attached = new Set(partitions.leaves.map(({ oid }) => oid));
  const noted = new Map(detached.map((leaf) => [leaf.oid, leaf]));
  const gone = detached.filter(({ oid }) => !attached.has(oid));
  const selectable: readonly (Leaf | DetachedLeaf)[] = [...gone, ...partitions.leaves];
  const chosen = selectLeaves(table, selectable, { kind: 'names', names }, 0n);
  const candidates = chosen.flatMap((leaf): readonly AttachCandidate[] => {
    const { oid, schema, name, range } = leaf;
    if (leaf.state === 'attached') return [];
    if (leaf.state === 'detach_pending') {
      const known = noted.get(oid) ?? null;
      const bound = known?.bound ?? boundText(range, table);
      return [{ kind: 'pending', oid, schema, name, range, bound, noted: known }];
    }
    const known = leaf as DetachedLeaf;
    return [{ kind: 'detached', oid, schema, name, range, bound: known.bound, noted: known }];
  });
  return {
    candidates,
    existing: chosen.filter(({ state }) => state === 'attached').map(({ name }) => name),
    begun: chosen.filter(({ state }) => state === 'attached').flatMap(({ oid }) => noted.get(oid) ?? []),
  };
}

/** Throws a usage error when bounds are given for a leaf that is known to have others. */
export function requireSameRange(known: Leaf | DetachedLeaf, range: Range): void {
  if (known.range.lower === range.lower && known.range.upper === range.upper) return;
  const [from, to] = [known.range.lower, known.range.upper].map(formatInstantShort);
  throw usageError('bounds', `${known.name} is known with other bounds: ${from} to ${to}.`, {
    object: known.name,
    hint: 'Leave out --from and --until: it is attached with the bounds that it had.',
  });
}

/** Makes the candidate of a table that sensordb did not detach; throws a usage error for bounds that the key cannot have. */
export function adopt(table: PartitionedTable, stranger: Stranger, range: Range): AttachCandidate {
  const isWhole = [range.lower, range.upper].every((end) => periodStart(end, 'day') === end);
  if (table.keyType === 'date' && !isWhole) {
    throw usageError('bounds', `${table.key} is a date: --from and --until must be days.`, {
      object: '--from',
    });
  }
  const { oid, schema, name, parent } = stranger;
  if (oid === table.oid) {
    throw usageError('attach_itself', `${table.qualified} cannot be a partition of itself.`, {
      object: name,
      hint: 'Name the table that is to become its leaf; --table names the partitioned one.',
    });
  }
  if (parent !== null) {
    throw usageError('partition_of_another', `${name} is a partition of ${parent}.`, {
      object: name,
      hint: 'A table can be a partition of one table alone: detach it there first.',
    });
  }
  return { kind: 'stranger', oid, schema, name, range, bound: boundText(range, table), noted: null };
}

/** Finds the leaves whose ranges a candidate would overlap; null when there is none; pure. */
export function overlapOf(
  table: PartitionedTable,
  partitions: Partitions,
  candidate: AttachCandidate,
): LeafRefusal | null {
  const { lower, upper } = candidate.range;
  const other = partitions.leaves.find(
    ({ oid, range }) => oid !== candidate.oid && range.lower < upper && lower < range.upper,
  );
  if (other === undefined) return null;
  const [from, to] = [other.range.lower, other.range.upper].map(formatInstantShort);
  const relation = qualifiedName(other.schema, other.name);
  return {
    oid: candidate.oid,
    name: candidate.name,
    reason: 'overlap',
    message: `${candidate.name} overlaps ${relation}, which covers ${from} to ${to}.`,
    hint: `Two leaves cannot cover one time. See what each holds; to put this one in its place: sensordb partitions detach ${relation} --table ${table.qualified}, then run this again.`,
  };
}
