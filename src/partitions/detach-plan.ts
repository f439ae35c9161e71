import { usageError } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { parseTableName } from '../db/table-name.ts';
import { formatInstantShort, type Instant } from '../time/instant.ts';
import type { DetachedLeaf } from './detached.ts';
import { type LeafRefusal, overrideGate, type Refusal } from './gate.ts';
import type { DefaultPartition, Leaf, Partitions } from './read.ts';
import { type Selection, selectLeaves } from './select.ts';
import { findUnfinished, isComplete, type Unfinished } from './unfinished.ts';

/** What `partitions detach` is asked to do. */
export interface DetachRequest {
  readonly selection: Selection;
  readonly intoSchema: string | null;
  /** False with `--no-gate`: what is refused for safety is done all the same. */
  readonly gate: boolean;
}

/** What was chosen, before the gate is asked. */
export interface DetachSketch {
  /** What interrupted runs left behind, chosen or not. */
  readonly unfinished: readonly Unfinished[];
  /** Attached leaves that were chosen. */
  readonly chosen: readonly Leaf[];
  /** Detached leaves that are complete and only to be moved. */
  readonly moved: readonly DetachedLeaf[];
  /** Of those that were named: what is detached already. */
  readonly already: readonly string[];
  /** The OIDs of all that was chosen. */
  readonly selected: ReadonlySet<number>;
}

/** Finds what was asked for among the leaves that there are and that there were; throws usage errors; pure. */
export function sketchDetach(
  table: PartitionedTable,
  partitions: Partitions,
  detached: readonly DetachedLeaf[],
  request: DetachRequest,
  now: Instant,
): DetachSketch {
  const { selection, intoSchema } = request;
  if (selection.kind === 'names') refuseDefault(table, partitions.default, selection.names);
  const attached = new Set(partitions.leaves.map(({ oid }) => oid));
  const gone = detached.filter(({ oid }) => !attached.has(oid));
  // Ages choose among the leaves that there are: what they chose before is done.
  const selectable: readonly (Leaf | DetachedLeaf)[] =
    selection.kind === 'names' ? [...partitions.leaves, ...gone] : partitions.leaves;
  const selected = new Set(selectLeaves(table, selectable, selection, now).map(({ oid }) => oid));
  const complete = gone.filter((leaf) => selected.has(leaf.oid) && isComplete(leaf));
  const isToMove = ({ schema }: DetachedLeaf): boolean => intoSchema !== null && schema !== intoSchema;
  return {
    unfinished: findUnfinished(partitions, detached),
    chosen: partitions.leaves.filter(({ oid, state }) => selected.has(oid) && state === 'attached'),
    moved: complete.filter(isToMove),
    already: complete.filter((leaf) => !isToMove(leaf)).map(({ name }) => name),
    selected,
  };
}

function refuseDefault(
  table: PartitionedTable,
  byDefault: DefaultPartition | null,
  names: readonly string[],
): void {
  if (byDefault === null) return;
  for (const text of names) {
    const { schema, spellings } = parseTableName(text);
    const isMeant =
      spellings.includes(byDefault.name) && (schema === null || schema.includes(byDefault.schema));
    if (!isMeant) continue;
    throw usageError('default_partition', `${text} is the DEFAULT partition of ${table.qualified}.`, {
      object: qualifiedName(byDefault.schema, byDefault.name),
      hint: `It is no leaf of a period. To be without it: ALTER TABLE ${table.qualified} DETACH PARTITION ${qualifiedName(byDefault.schema, byDefault.name)}.`,
    });
  }
}

/** The decision about the chosen leaves. */
export interface DetachDecision {
  readonly detach: readonly Leaf[];
  readonly refused: readonly Refusal[];
  /** What `--no-gate` passed over. */
  readonly overridden: readonly Refusal[];
}

/**
 * Decides which of the chosen leaves are detached; `gated` is what the gate has against them; pure.
 *
 * What PostgreSQL itself refuses no option overrides.
 */
export function decideDetach(
  table: PartitionedTable,
  partitions: Partitions,
  { chosen }: DetachSketch,
  gated: readonly LeafRefusal[],
  gate: boolean,
  now: Instant,
): DetachDecision {
  const { standing, overridden } = overrideGate(gated, 'detach');
  const held = new Set(standing.map(({ oid }) => oid));
  const soft = [...chosen.flatMap((leaf) => tooYoung(leaf, now)), ...overridden];
  if (gate) for (const { oid } of soft) held.add(oid);
  const free = chosen.filter(({ oid }) => !held.has(oid));
  const attached = partitions.leaves.filter(({ state }) => state === 'attached');
  const last = free.length > 0 && free.length === attached.length ? (free.at(-1) as Leaf) : null;
  const ofLast = last === null ? [] : [lastLeaf(table, last)];
  if (!gate) return { detach: free, refused: standing, overridden: [...soft, ...ofLast] };
  const refused = [...soft, ...standing, ...ofLast];
  return { detach: free.filter((leaf) => leaf !== last), refused: inOrder(chosen, refused), overridden: [] };
}

function inOrder(chosen: readonly Leaf[], refused: readonly LeafRefusal[]): readonly LeafRefusal[] {
  return chosen.flatMap(({ oid }) => refused.filter((refusal) => refusal.oid === oid));
}

const OVERRIDE = 'To do it all the same: --no-gate --yes.';

function tooYoung({ oid, name, range }: Leaf, now: Instant): readonly LeafRefusal[] {
  if (range.upper <= now) return [];
  const isCurrent = range.lower <= now;
  return [
    {
      oid,
      name,
      reason: isCurrent ? 'current_leaf' : 'future_leaf',
      message: `${name} covers the ${isCurrent ? 'present' : 'future'}: it ends ${formatInstantShort(range.upper)}.`,
      hint: `Inserts into its period would fail, or go to DEFAULT. ${OVERRIDE}`,
    },
  ];
}

function lastLeaf(table: PartitionedTable, { oid, name }: Leaf): LeafRefusal {
  return {
    oid,
    name,
    reason: 'last_leaf',
    message: `${name} is the last leaf of ${table.qualified}.`,
    hint: `Make others first: sensordb partitions ensure --table ${table.qualified} --months 3. ${OVERRIDE}`,
  };
}
