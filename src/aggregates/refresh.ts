import { countChanges } from './changes.ts';
import { type Counted, NOTHING, sum } from './count.ts';
import { toInstant } from './hours.ts';
import { countOpen } from './open-hours.ts';
import { listPending } from './pending.ts';
import { advance, makeReady } from './ready.ts';
import type { CountingScene } from './scene.ts';
import { workOffPieces } from './work.ts';

/** What a refresh came to. */
export interface RefreshResult extends Counted {
  readonly setUp: boolean;
  readonly cleanUntilHour: number;
  /** Who has written before the gate was moved and is still at it. */
  readonly heldBackBy: readonly string[];
  /** Device-hours whose other rows went with a leaf. */
  readonly skipped: number;
}

/**
 * Brings the aggregates up to date with all that was committed when it began; every piece in a transaction of its own.
 *
 * 1. The gate moves to the current hour: from then on changes before it are logged. When those have ended who wrote before,
 *    the hours up to there are put among the pending ranges.
 * 2. Partitions that came, went, or were truncated are noted: those that came are pending, those that went are frozen.
 * 3. Pending ranges are counted, then what the log says, then all from the gate on.
 *
 * A run that is killed has done the pieces that it committed; the next one goes on from there.
 */
export async function refresh(scene: CountingScene): Promise<RefreshResult> {
  const state = await makeReady(scene);
  const heldBackBy = await advance(scene, state);
  const cleanUntilHour =
    heldBackBy.length === 0 ? Math.max(scene.hour, state.cleanUntilHour) : state.cleanUntilHour;
  let total = NOTHING;
  const moved = heldBackBy.length === 0 && scene.hour > state.cleanUntilHour;
  if (moved || state.leavesMoved || state.hasPending)
    total = await countAllPending(scene, state.id, cleanUntilHour);
  const changes =
    state.hasChanges || total !== NOTHING ? await countChanges(scene, state.id) : { ...NOTHING, skipped: 0 };
  const open = await countOpen(scene, { id: state.id, hour: cleanUntilHour });
  return {
    ...sum(sum(total, changes), open),
    setUp: state.setUp,
    cleanUntilHour,
    heldBackBy,
    skipped: changes.skipped,
  };
}

async function countAllPending(scene: CountingScene, id: string, cleanUntilHour: number): Promise<Counted> {
  const { session, source, run, begin } = scene;
  const wanted = { id, cleanUntil: toInstant(cleanUntilHour), range: null };
  const pieces = await listPending(session, source, wanted, run);
  if (pieces.length === 0) return NOTHING;
  await begin();
  return await workOffPieces(scene, id, pieces, { jobs: 1, reasonToWait: async () => null });
}
