import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { formatBound, formatInstantShort, type Instant, type Range } from '../time/instant.ts';
import type { Interval } from '../time/periods.ts';
import { compare, type Runway, runwayOf } from './coverage.ts';
import type { EnsureSketch, Hole } from './ensure-sketch.ts';
import { fitName } from './names.ts';
import { coveredRanges, type DefaultPartition, type Leaf, type Partitions } from './read.ts';

/** Why a period could not be given its leaf. */
type ConflictReason =
  | 'name_taken'
  | 'rows_in_default'
  | 'detach_pending'
  | 'overlap'
  | 'default_too_large'
  | 'default_not_plain'
  | 'triggers_would_fire'
  | 'referenced'
  | 'published';

/** A range that stays without a leaf, why, and what to do about it. */
export interface Conflict {
  readonly range: Range;
  readonly reason: ConflictReason;
  readonly message: string;
  readonly hint: string;
  /** Of `rows_in_default`: how many rows stand in the way, and from when to when. */
  readonly rows?: DefaultRows;
}

/** Rows of one period that stand in DEFAULT. */
export interface DefaultRows {
  readonly count: number;
  readonly earliest: Instant;
  readonly latest: Instant;
}

/** A leaf to be made. */
export interface NewLeaf {
  readonly name: string;
  readonly range: Range;
}

/** What has a name that a new leaf would get. */
interface TakenName {
  /** `table`, `view`, `type`, … */
  readonly kind: string;
  /** Of which table it is a partition, qualified; null: of none. */
  readonly partitionOf: string | null;
  /** The bounds that it had when it was detached from this very table. */
  readonly detachedRange?: Range;
}

/** What else has to be known before leaves can be made. */
export interface EnsureFacts {
  /** Names that are taken in the table's schema, and by what. */
  readonly taken: ReadonlyMap<string, TakenName>;
  /** Rows of DEFAULT that lie in a hole, by the hole's lower bound. */
  readonly defaultRows: ReadonlyMap<Instant, DefaultRows>;
}

/** The decision: what is made, what was there, what cannot be made. */
export interface EnsurePlan {
  readonly interval: Interval;
  readonly range: Range;
  readonly existing: readonly string[];
  readonly create: readonly NewLeaf[];
  readonly conflicts: readonly Conflict[];
  /** Those that rows of DEFAULT stand in the way of, and that are to be moved out of it. */
  readonly drain: readonly DrainedLeaf[];
}

/** A leaf that is to be made of rows of DEFAULT. */
export interface DrainedLeaf extends NewLeaf {
  readonly rows: DefaultRows;
}

/** Decides which holes become leaves and which are conflicts; pure. */
export function planEnsure(
  table: PartitionedTable,
  sketch: EnsureSketch,
  partitions: Partitions,
  facts: EnsureFacts,
  withDrain = false,
): EnsurePlan {
  const create: NewLeaf[] = [];
  const drain: DrainedLeaf[] = [];
  const conflicts: Conflict[] = sketch.existing
    .filter((leaf) => leaf.state === 'detach_pending')
    .map((leaf) => detachPending(table, leaf));
  const ours = new Set(
    partitions.leaves.filter(({ schema }) => schema === table.schema).map(({ name }) => name),
  );
  const planned = new Set<string>();
  for (const hole of sketch.holes) {
    const name = chooseName(hole, facts.taken, ours, planned);
    const rows = facts.defaultRows.get(hole.range.lower);
    if (name.kind === 'taken') conflicts.push(nameTaken(table, hole.range, name.name, facts.taken));
    else if (rows !== undefined && !withDrain)
      conflicts.push(rowsInDefault(table, hole.range, rows, partitions.default));
    else if (rows !== undefined) {
      planned.add(name.name);
      drain.push({ name: name.name, range: hole.range, rows });
    } else {
      planned.add(name.name);
      create.push({ name: name.name, range: hole.range });
    }
  }
  const existing = sketch.existing.filter((leaf) => leaf.state === 'attached').map((leaf) => leaf.name);
  conflicts.sort((a, b) => compare(a.range.lower, b.range.lower));
  return { interval: sketch.interval, range: sketch.range, existing, create, conflicts, drain };
}

function chooseName(
  hole: Hole,
  taken: EnsureFacts['taken'],
  ours: ReadonlySet<string>,
  planned: ReadonlySet<string>,
): { readonly kind: 'free' | 'taken'; readonly name: string } {
  for (const name of hole.names) {
    if (!taken.has(name) && !planned.has(name)) return { kind: 'free', name };
    // A stranger of that name may hold this very period's rows: a detached leaf, say. That wants a look, not a way round.
    if (!ours.has(name) && !planned.has(name)) return { kind: 'taken', name };
  }
  return { kind: 'taken', name: hole.names[0] as string };
}

function nameTaken(
  table: PartitionedTable,
  range: Range,
  name: string,
  taken: EnsureFacts['taken'],
): Conflict {
  const relation = qualifiedName(table.schema, name);
  const { kind, partitionOf, detachedRange } = taken.get(name) ?? { kind: 'relation', partitionOf: null };
  if (detachedRange?.lower === range.lower && detachedRange.upper === range.upper) {
    return {
      range,
      reason: 'name_taken',
      message: `The name ${relation} is taken by the detached leaf of this period.`,
      hint: `Put it back: sensordb partitions attach ${tableWords(table, relation)}.`,
    };
  }
  const what =
    partitionOf === null
      ? `${kind === 'index' ? 'an' : 'a'} ${kind} that is no partition`
      : partitionOf === table.qualified
        ? 'the partition of another period'
        : `a partition of ${partitionOf}`;
  const rename = `ALTER ${kind.toUpperCase()} ${relation} RENAME TO ${quoteIdentifier(fitName(name, '_other'))}`;
  const mayHoldRows = partitionOf === null && kind.endsWith('table');
  const attach = `If it holds this period's rows: ALTER TABLE ${table.qualified} ATTACH PARTITION ${relation} ${boundClause(table, range)}. If not: `;
  return {
    range,
    reason: 'name_taken',
    message: `The name ${relation} is taken by ${what}.`,
    hint: `${mayHoldRows ? attach : ''}${rename}. Then run this again.`,
  };
}

/**
 * Makes the conflict of a period whose rows DEFAULT holds: PostgreSQL refuses a leaf over them (23514).
 *
 * Null rows: there are some, but row security hides them.
 */
export function rowsInDefault(
  table: PartitionedTable,
  range: Range,
  rows: DefaultRows | null,
  defaultPartition: DefaultPartition | null,
): Conflict {
  const { schema, name } = defaultPartition ?? { schema: table.schema, name: 'DEFAULT' };
  const relation = qualifiedName(schema, name);
  return {
    range,
    reason: 'rows_in_default',
    message: `${countOf(rows)} of this period in ${relation}${extentOf(rows)}.`,
    hint: `Move them into a leaf of their own: sensordb partitions drain ${drainWords(table, range)}. Wrong times: UPDATE or DELETE them there first.`,
    ...(rows === null ? {} : { rows }),
  };
}

/** Spells a word as a shell takes it. */
export function shellWord(word: string): string {
  return /^[a-z0-9_.]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Spells the operands of a command about one leaf as a shell takes them. */
function tableWords(table: PartitionedTable, leaf: string): string {
  return `${shellWord(leaf)} --table ${shellWord(table.qualified)}`;
}

/** Spells the options of a drain of one range as a shell takes them. */
function drainWords(table: PartitionedTable, { lower, upper }: Range): string {
  return `--table ${shellWord(table.qualified)} --from ${formatInstantShort(lower)} --until ${formatInstantShort(upper)}`;
}

function countOf(rows: DefaultRows | null): string {
  if (rows === null) return 'Row security hides rows';
  return rows.count === 1 ? 'There is 1 row' : `There are ${rows.count} rows`;
}

function extentOf(rows: DefaultRows | null): string {
  if (rows === null) return '';
  const [earliest, latest] = [formatInstantShort(rows.earliest), formatInstantShort(rows.latest)];
  return earliest === latest ? `, at ${earliest}` : `, from ${earliest} to ${latest}`;
}

function detachPending(table: PartitionedTable, leaf: Leaf): Conflict {
  const relation = qualifiedName(leaf.schema, leaf.name);
  return {
    range: leaf.range,
    reason: 'detach_pending',
    message: `${relation} is half detached: an interrupted DETACH CONCURRENTLY. Its bounds are taken, and inserts into it fail.`,
    hint: `Finish it: sensordb partitions detach ${tableWords(table, relation)}; or put it back: sensordb partitions attach ${tableWords(table, relation)}. Then run this again.`,
  };
}

/** Makes the conflict of a leaf that PostgreSQL refused because somebody else was faster: its bounds or its name. */
export function refusedByServer(range: Range, reason: 'overlap' | 'name_taken', message: string): Conflict {
  const hint =
    'Somebody else makes partitions here at the same time. Run it again: it works on what is there by then.';
  return { range, reason, message, hint };
}

function boundClause(table: PartitionedTable, { lower, upper }: Range): string {
  const [from, to] = [lower, upper].map((end) => quoteLiteral(formatBound(end, table.keyType)));
  return `FOR VALUES FROM (${from}) TO (${to})`;
}

/** Works out the runway after the plan: that of the attached leaves and the ones made. */
export function runwayAfter(leaves: readonly Leaf[], made: readonly NewLeaf[], now: Instant): Runway {
  return runwayOf([...coveredRanges(leaves), ...made.map(({ range }) => range)], now);
}
