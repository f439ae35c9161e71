import type { PartitionedTable } from '../db/catalog.ts';
import { type Age, after } from '../time/ages.ts';
import { formatInstantShort, type Instant } from '../time/instant.ts';
import { relationOf, type SelectedLeaf } from './drop-read.ts';
import type { DropRequest } from './drop-request.ts';
import type { Refusal } from './gate.ts';
import { NOT_PERMITTED } from './refusals.ts';

/** A leaf that is not dropped yet, by `--keep-for`. */
export interface Kept {
  readonly name: string;
  /** When its grace time ends; null: it is not even detached. */
  readonly until: Instant | null;
}

/** The decision, before the gate is asked. */
export interface DropPlan {
  readonly drop: readonly SelectedLeaf[];
  readonly refused: readonly Refusal[];
  readonly kept: readonly Kept[];
}

/** Decides which of the selected leaves may be dropped as far as time and state go; pure. */
export function planDrop(
  table: PartitionedTable,
  selected: readonly SelectedLeaf[],
  { selection, keepFor }: DropRequest,
  now: Instant,
): DropPlan {
  const drop: SelectedLeaf[] = [];
  const refused: Refusal[] = [];
  const kept: Kept[] = [];
  for (const leaf of selected) {
    const grace = keepFor === null ? null : inGrace(leaf, keepFor, now);
    const refusal = refuse(table, leaf, now);
    if (grace !== null && selection.kind !== 'names') kept.push(grace);
    else if (refusal !== null) refused.push(refusal);
    else if (grace !== null) refused.push(graceTime(table, leaf, grace));
    else drop.push(leaf);
  }
  return { drop, refused, kept };
}

function inGrace(leaf: SelectedLeaf, keepFor: Age, now: Instant): Kept | null {
  if (leaf.detachedAt === null) return { name: leaf.name, until: null };
  const until = after(leaf.detachedAt, keepFor);
  return until > now ? { name: leaf.name, until } : null;
}

function graceTime(table: PartitionedTable, leaf: SelectedLeaf, { until }: Kept): Refusal {
  const relation = relationOf(leaf);
  const [message, hint] =
    until === null
      ? [
          `${relation} is still attached: --keep-for drops only what was detached so long ago.`,
          `Detach it: sensordb partitions detach ${relation} --table ${table.qualified}.`,
        ]
      : [
          `${relation} was detached only lately: --keep-for keeps it until ${formatInstantShort(until)}.`,
          'Run it again then, or with a shorter --keep-for.',
        ];
  return { name: leaf.name, reason: 'grace_time', message, hint };
}

/** Tells why a leaf is not dropped whatever the options say; null when nothing is known against it. */
function refuse(table: PartitionedTable, leaf: SelectedLeaf, now: Instant): Refusal | null {
  const { name, range, state, isElsewhere } = leaf;
  const relation = relationOf(leaf);
  if (isElsewhere) {
    return {
      name,
      reason: 'changed',
      message: `${relation} was detached from ${table.qualified}, and is a partition of another table by now.`,
      hint: 'What becomes of it is for that table to say.',
    };
  }
  if (state === 'detach_pending') {
    return {
      name,
      reason: 'detach_pending',
      message: `${relation} is half detached: an interrupted DETACH CONCURRENTLY.`,
      hint: `Finish it: sensordb partitions detach ${relation} --table ${table.qualified}; then drop it.`,
    };
  }
  if (range.upper <= now) return leaf.mayDrop ? null : notOwned(leaf);
  const bounds = `${formatInstantShort(range.lower)} to ${formatInstantShort(range.upper)}`;
  const isFuture = range.lower > now;
  return {
    name,
    reason: isFuture ? 'future_leaf' : 'current_leaf',
    message: `${relation} is for ${isFuture ? 'the future' : 'the present'} (${bounds}).`,
    hint: 'sensordb drops no leaf before its time is over. DELETE or TRUNCATE empties it.',
  };
}

function notOwned(leaf: SelectedLeaf): Refusal {
  return {
    name: leaf.name,
    reason: NOT_PERMITTED,
    message: `The role owns neither ${relationOf(leaf)} nor its schema.`,
    hint: 'Run it as the owner; sensordb partitions repair gives leaves the owner of their parent.',
  };
}

/** Keeps one attached leaf, the newest, when all that are attached would go; `attached` counts them all. */
export function keepLastLeaf(
  table: PartitionedTable,
  drop: readonly SelectedLeaf[],
  attached: number,
): Pick<DropPlan, 'drop' | 'refused'> {
  const ours = drop.filter(({ state }) => state === 'attached');
  const last = ours.at(-1);
  if (last === undefined || ours.length < attached) return { drop, refused: [] };
  const refusal = {
    name: last.name,
    reason: 'last_leaf',
    message: `${relationOf(last)} would be the last attached leaf of ${table.qualified}.`,
    hint: `Make those of the present first: sensordb partitions ensure --months 3 --table ${table.qualified}.`,
  };
  return { drop: drop.filter((leaf) => leaf !== last), refused: [refusal] };
}
