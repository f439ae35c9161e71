import { failure } from '../cli/errors.ts';
import { inTransaction } from '../db/transaction.ts';
import type { BackfillRequest } from './backfill-request.ts';
import { countChanges } from './changes.ts';
import { type Counted, NOTHING, sum } from './count.ts';
import { toInstant } from './hours.ts';
import { countOpen } from './open-hours.ts';
import { listPending } from './pending.ts';
import { advance, makeReady } from './ready.ts';
import { recountStatement } from './recount.ts';
import type { RefreshResult } from './refresh.ts';
import type { CountingScene } from './scene.ts';
import { createThrottle } from './throttle.ts';
import { workOffPieces } from './work.ts';

/** What a backfill came to; `pieces` are the ranges that were counted, each in a transaction of its own. */
export interface BackfillResult extends RefreshResult {
  readonly pieces: number;
}

/**
 * Fills history: counts the ranges that are pending, on several connections side by side.
 *
 * What is done is off the list, so that a run that was stopped or killed is carried on by the next. Without a range it leaves the
 * aggregates as a refresh does: up to date with all that was committed when it began.
 */
export async function backfill(scene: CountingScene, request: BackfillRequest): Promise<BackfillResult> {
  const { session, source, run, hour, begin } = scene;
  const state = await makeReady(scene);
  const heldBackBy = await advance(scene, state);
  const cleanUntilHour =
    heldBackBy.length === 0 ? Math.max(hour, state.cleanUntilHour) : state.cleanUntilHour;
  if (request.recount) await recount(scene, state.id, request);
  const wanted = { id: state.id, cleanUntil: toInstant(cleanUntilHour), range: request.range };
  const pieces = await listPending(session, source, wanted, run);
  let total: Counted = NOTHING;
  if (pieces.length > 0) {
    await begin();
    const reasonToWait = createThrottle(source, request);
    total = await workOffPieces(scene, state.id, pieces, { jobs: request.jobs, reasonToWait });
  }
  const facts = { setUp: state.setUp, cleanUntilHour, heldBackBy, pieces: pieces.length };
  if (request.range !== null) return { ...total, ...facts, skipped: 0 };
  const changes = await countChanges(scene, state.id);
  const open = await countOpen(scene, { id: state.id, hour: cleanUntilHour });
  return { ...sum(sum(total, changes), open), ...facts, skipped: changes.skipped };
}

async function recount(
  { session, run, begin }: CountingScene,
  id: string,
  { range }: BackfillRequest,
): Promise<void> {
  if (range === null) throw failure('recount_without_range', 'There is no range to recount.');
  await begin();
  await inTransaction(session, { access: 'read write', lockTimeoutMs: run.budget.lockTimeoutMs }, () =>
    session.run(recountStatement(id, range)),
  );
}
