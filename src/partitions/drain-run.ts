import { failure } from '../cli/errors.ts';
import { toSensordbError } from '../cli/output.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { PreparedMove } from './drain.ts';
import { copyInBatches, dropUnfinished, pagesFor } from './drain-aside.ts';
import { type LastResult, runLast } from './drain-last.ts';
import { readUnfinished, type Unfinished } from './drain-read.ts';
import type { NewLeaf } from './ensure-plan.ts';
import { guardLeftError, removeGuard } from './guard.ts';

/** How often the copying of one period is begun anew before it is given up: somebody rewrites DEFAULT over and over. */
const MOST_BEGINNINGS = 3;

/** How often the copies are brought up to date before the last transaction takes the rest, however much it is. */
const MOST_CATCH_UPS = 5;

/** What a run of moves is told, and tells. */
export interface MoveOptions {
  readonly run: RunOptions;
  readonly batchRows: number;
  readonly update: (text: string) => void;
}

/** The same, and whom it tells of guards on DEFAULT. */
export interface GuardedMoveOptions extends MoveOptions {
  readonly onGuard: (leaf: NewLeaf) => void;
  readonly onGuardLeft: () => void;
  readonly isGuardLeft: () => boolean;
}

/** Moves one period into its leaf; gives the number of its rows. What is left of an earlier run is carried on. */
export async function runMove(
  session: Session,
  prepared: PreparedMove,
  options: GuardedMoveOptions,
): Promise<number> {
  const { move, steps, leaf } = prepared;
  let begun: Unfinished | null = prepared.unfinished;
  for (let beginnings = 0; beginnings < MOST_BEGINNINGS; beginnings += 1) {
    if (begun !== null && !begun.isIntact) begun = await abandon(session, move.table, begun, options);
    if (begun === null) await runTransaction(session, steps.begin, options.run);
    const isCopied = begun?.state === 'indexed' || (await copyRows(session, prepared, options));
    const result = isCopied ? await changeOver(session, prepared, options) : ({ kind: 'stale' } as const);
    if (result.kind === 'moved') return result.rows;
    begun = await findBegun(session, prepared);
    if (begun !== null) begun = await abandon(session, move.table, begun, options);
  }
  throw failure(
    'default_rewritten',
    `${qualifiedName(move.default.schema, move.default.name)} changes faster than ${leaf.name} can be copied.`,
    {
      object: qualifiedName(move.default.schema, move.default.name),
      hint: 'VACUUM FULL, CLUSTER or TRUNCATE rewrites it, or somebody writes into the table of copies. Run this again when that is over.',
    },
  );
}

/** Copies and indexes; tells whether it came through, or has to begin anew. */
async function copyRows(
  session: Session,
  { move, leaf, steps }: PreparedMove,
  { run, batchRows, update }: MoveOptions,
): Promise<boolean> {
  update(`Copying the rows of ${leaf.name}`);
  const pages = await pagesFor(session, move, leaf.rows.count, batchRows);
  const copied = await copyInBatches(session, move, pages, run, (share) =>
    update(`Copying the rows of ${leaf.name} (${Math.floor(share * 100)} %)`),
  );
  if (copied === 'stale') return false;
  await runTransaction(session, steps.index, run);
  return true;
}

async function abandon(
  session: Session,
  table: PartitionedTable,
  begun: Unfinished,
  { run }: MoveOptions,
): Promise<null> {
  await dropUnfinished(session, table.schema, begun, run);
  return null;
}

async function findBegun(session: Session, { move }: PreparedMove): Promise<Unfinished | null> {
  const all = await reading(session, () => readUnfinished(session, move.table, move.default));
  return all.find(({ name }) => name === move.aside) ?? null;
}

async function changeOver(
  session: Session,
  prepared: PreparedMove,
  options: GuardedMoveOptions,
): Promise<LastResult> {
  const { steps, leaf, move } = prepared;
  options.update(`Attaching ${leaf.name}`);
  try {
    if (steps.guard !== null) {
      await runTransaction(session, steps.guard.add, options.run);
      options.onGuard(leaf);
    }
    for (let catchUps = 0; ; catchUps += 1) {
      const result = await runLast(session, move, steps, catchUps < MOST_CATCH_UPS, options.run);
      if (
        result.kind === 'stale' &&
        steps.guard !== null &&
        !(await removeGuard(session, steps.guard, options.run))
      )
        throw failure(
          'guard_left',
          `The guard on ${qualifiedName(move.default.schema, move.default.name)} stays.`,
        );
      if (result.kind !== 'behind') return result;
      await runTransaction(session, steps.catchUp, options.run);
    }
  } catch (thrown) {
    if (steps.guard === null || (await removeGuard(session, steps.guard, options.run))) throw thrown;
    options.onGuardLeft();
    const cause = toSensordbError(session.signal.aborted ? session.signal.reason : thrown);
    throw guardLeftError(move.default, cause);
  }
}
