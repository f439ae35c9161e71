import type { Session } from '../db/session.ts';
import { isServerError, SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { toSpan } from './leaves.ts';
import { inSnapshot } from './snapshot.ts';
import type { Source } from './source.ts';
import type { Slice } from './verify-plan.ts';
import {
  type Comparison,
  countVerdicts,
  listMismatches,
  type MismatchRow,
  type VerdictCount,
} from './verify-query.ts';
import { type Known, readDigest, readState } from './verify-state.ts';

/** What the comparison of one slice came to. */
export interface SliceResult {
  readonly counts: Readonly<Partial<Record<VerdictCount['verdict'], number>>>;
  readonly readings: number;
  readonly mismatches: readonly MismatchRow[];
  /** A leaf of it was locked all the time: nothing of it was compared. */
  readonly locked: boolean;
}

/** What all slices are compared with. */
export interface SliceScene {
  readonly session: Session;
  readonly source: Source;
  readonly id: string;
  readonly tolerance: string;
  /** What the slice before knew; each slice looks whether it is so still. */
  readonly known: { last?: Known };
}

const LOCKED: SliceResult = { counts: {}, readings: 0, mismatches: [], locked: true };

/** How often a slice is compared anew because something came in between. */
const TRIES = 5;

/**
 * What may come in between: a standby that cancels a query whose rows it is to remove (40001), a deadlock, a leaf that is
 * dropped while the statement is planned (XX000, "could not open relation"; 14 to 18).
 */
const DISTURBANCES: ReadonlySet<string | null> = new Set([
  '40001',
  'XX000',
  SQLSTATE.deadlockDetected,
  SQLSTATE.lockNotAvailable,
]);

/**
 * Compares one slice in one snapshot: readings, aggregates, and what is known to be dirty.
 *
 * Attaching, detaching and truncating leaves takes effect at once, also for older snapshots (14 to 18): rows come or go that
 * the rest of the snapshot knows nothing of. So mismatches count only if the leaves look the same in a later snapshot.
 */
export async function compareSlice(scene: SliceScene, slice: Slice, limit: number): Promise<SliceResult> {
  let moving: SliceResult | null = null;
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    try {
      const { digest, ...result } = await compareOnce(scene, slice, limit);
      if (result.mismatches.length === 0) return result;
      const { session, source, id } = scene;
      if ((await inSnapshot(session, source, () => readDigest(session, id))) === digest) return result;
      moving = notCompared(result);
    } catch (thrown) {
      scene.session.signal.throwIfAborted();
      const isLocked = sqlstateOf(thrown) === SQLSTATE.lockNotAvailable;
      if (attempt < TRIES && DISTURBANCES.has(sqlstateOf(thrown))) continue;
      if (!isLocked) throw thrown;
      return LOCKED;
    }
  }
  return moving ?? LOCKED;
}

/** Takes what looked like mismatches for hours of a leaf that is changing all the time. */
function notCompared(result: SliceResult): SliceResult {
  const { extra = 0, missing = 0, wrong = 0, changedLeaf = 0, ...counts } = result.counts;
  return {
    ...result,
    counts: { ...counts, changedLeaf: changedLeaf + extra + missing + wrong },
    mismatches: [],
  };
}

async function compareOnce(
  scene: SliceScene,
  { range }: Slice,
  limit: number,
): Promise<SliceResult & { readonly digest: string }> {
  const { session, source, id, tolerance } = scene;
  const span = toSpan(range);
  return await inSnapshot(session, source, async () => {
    await session.run("set local work_mem to '64MB'");
    const { digest, unsettled, retired } = await readState(session, id, scene.known);
    const comparison: Comparison = { source, id, span, tolerance, unsettled, retired, nan: false };
    const { rows, used } = await countEven(session, comparison);
    const of = ({ verdict, hours }: VerdictCount) => [verdict, hours] as const;
    const counts: SliceResult['counts'] = Object.fromEntries(rows.map(of));
    const found = (counts.extra ?? 0) + (counts.missing ?? 0) + (counts.wrong ?? 0);
    return {
      counts,
      readings: rows.reduce((sum, { readings }) => sum + readings, 0),
      mismatches: found === 0 ? [] : await listMismatches(session, used, Math.max(1, limit)),
      locked: false,
      digest,
    };
  });
}

/** Counts with PostgreSQL's own sums, or where one of them overflows (22003) with those that give NaN. */
async function countEven(
  session: Session,
  comparison: Comparison,
): Promise<{ readonly rows: readonly VerdictCount[]; readonly used: Comparison }> {
  await session.run('savepoint counting');
  try {
    return { rows: await countVerdicts(session, comparison), used: comparison };
  } catch (thrown) {
    if (!isServerError(thrown) || thrown.code !== SQLSTATE.numericValueOutOfRange) throw thrown;
    await session.run('rollback to savepoint counting');
    const used = { ...comparison, nan: true };
    return { rows: await countVerdicts(session, used), used };
  }
}
