import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { Step } from '../db/step.ts';
import { reading } from '../db/transaction.ts';
import { forEach, measureDefaultScan } from './default-scan.ts';
import { dropSteps } from './drain-aside.ts';
import type { Move } from './drain-move.ts';
import { judgeDrain } from './drain-plan.ts';
import { readDrainFacts, readUnfinished, type Unfinished } from './drain-read.ts';
import type { DrainRequest } from './drain-request.ts';
import { type DrainSteps, drainSteps } from './drain-steps.ts';
import type { Conflict, DrainedLeaf, EnsureFacts } from './ensure-plan.ts';
import { readTemplate } from './ensure-read.ts';
import { fitName } from './names.ts';
import type { DefaultPartition, Partitions } from './read.ts';

/** One period that is to be moved, with the SQL that does it. */
export interface PreparedMove {
  readonly leaf: DrainedLeaf;
  readonly move: Move;
  readonly steps: DrainSteps;
  /** What an earlier run left of it. */
  readonly unfinished: Unfinished | null;
}

/** The periods that are to be moved, and those that cannot be. */
export interface PreparedMoves {
  readonly moves: readonly PreparedMove[];
  readonly conflicts: readonly Conflict[];
  /** What earlier runs left that is of no use any more. */
  readonly abandoned: readonly Unfinished[];
}

/** Nothing to move. */
export const NO_MOVES: PreparedMoves = { moves: [], conflicts: [], abandoned: [] };

/** ATTACH scans DEFAULT, and so does the search for rows that came in last. */
const SCANS = 2;

/** From so many rows on ATTACH would take too long to make sure of foreign keys: some 50 ms for these. */
const MANY_ROWS = 100_000;

/** How much of the time of one try a lock may take that is asked for while everybody waits already. */
const SHARE_OF_TIMEOUT = 4;

/**
 * Prepares the moving of periods out of DEFAULT: reads what decides about it, and makes the steps; changes nothing.
 *
 * Throws `insufficient_privilege` when the role may not make leaves.
 */
export async function prepareMoves(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions & { readonly default: DefaultPartition },
  leaves: readonly DrainedLeaf[],
  taken: EnsureFacts['taken'],
  request: Pick<DrainRequest, 'guardDefault'>,
  options: RunOptions,
): Promise<PreparedMoves> {
  const { default: defaultPartition } = partitions;
  const unfinished = await reading(session, () => readUnfinished(session, table, defaultPartition));
  const isPlanned = ({ lower, upper }: Unfinished) =>
    leaves.some(({ range }) => range.lower === lower && range.upper === upper);
  const abandoned = unfinished.filter((one) => !isPlanned(one));
  if (leaves.length === 0) return { moves: [], conflicts: [], abandoned };
  const facts = await reading(session, () => readDrainFacts(session, table, defaultPartition));
  const scan = await measureDefaultScan(session, table, defaultPartition, options, SCANS);
  const { way, conflict } = judgeDrain(table, defaultPartition, facts, scan, request.guardDefault);
  if (way === null) return { moves: [], conflicts: forEach(leaves, conflict), abandoned };
  const template = await readTemplate(session, table, partitions, options);
  const shortTimeoutMs = Math.max(1, Math.floor(options.budget.lockTimeoutMs / SHARE_OF_TIMEOUT));
  const names = new Set([...taken.keys(), ...leaves.map(({ name }) => name)]);
  const moves: PreparedMove[] = [];
  const conflicts: Conflict[] = [];
  for (const leaf of leaves) {
    const begun = unfinished.find(
      ({ lower, upper }) => lower === leaf.range.lower && upper === leaf.range.upper,
    );
    const aside = begun?.name ?? fitName(leaf.name, '_draining');
    if (begun === undefined && taken.has(aside)) {
      conflicts.push(asideTaken(table, leaf, aside));
      continue;
    }
    const move: Move = { table, default: defaultPartition, leaf, aside, columns: facts.columns };
    const keys = leaf.rows.count >= MANY_ROWS ? facts.keys : [];
    const steps = drainSteps(move, template, names, { ...way, keys }, template.attachLocks, shortTimeoutMs);
    moves.push({ leaf, move, steps, unfinished: begun ?? null });
  }
  return { moves, conflicts, abandoned };
}

function asideTaken(table: PartitionedTable, { range }: DrainedLeaf, aside: string): Conflict {
  const relation = qualifiedName(table.schema, aside);
  return {
    range,
    reason: 'name_taken',
    message: `The name ${relation}, for the table that is filled before it becomes a leaf, is taken by something else.`,
    hint: `Rename or drop ${relation}, then run this again.`,
  };
}

/** Lists the steps of a period that a run would send, for `--dry-run`. */
export function allSteps(prepared: PreparedMove): readonly (readonly Step[])[] {
  const { steps, unfinished } = prepared;
  const { begin, copy, index, guard, settings, move, rest, change } = steps;
  const last = [guard?.add ?? [], [...settings, move, ...rest, ...change]];
  if (unfinished === null) return [begin, copy, index, ...last];
  if (!unfinished.isIntact) {
    return [dropSteps(prepared.move.table.schema, unfinished), begin, copy, index, ...last];
  }
  return unfinished.state === 'copying' ? [copy, index, ...last] : last;
}
