import { setTimeout as sleep } from 'node:timers/promises';
import { cancelledBy, openWorker, type Session } from '../db/session.ts';
import { type Counted, NOTHING, sum } from './count.ts';
import { countPiece, type Piece } from './pending.ts';
import type { CountingScene } from './scene.ts';

/** How pieces are worked off. */
export interface WorkOptions {
  /** How many connections count side by side. */
  readonly jobs: number;
  /** Asked before each piece: why to wait, or null to go on. */
  readonly reasonToWait: (session: Session) => Promise<string | null>;
}

/** How long to wait before the reason is looked at again, in milliseconds. */
const PAUSE_MS = 1000;

/**
 * Counts pieces, each in a transaction of its own, on several connections side by side.
 *
 * No two pieces have an hour in common, so they do not wait for each other. When one fails the others are cancelled; what is
 * committed stays, and its range is off the list.
 */
export async function workOffPieces(
  scene: CountingScene,
  id: string,
  pieces: readonly Piece[],
  { jobs, reasonToWait }: WorkOptions,
): Promise<Counted> {
  const queue = [...pieces];
  const progress = createProgress(scene, pieces);
  const failed = new AbortController();
  const signal = AbortSignal.any([scene.session.signal, failed.signal]);
  let total = NOTHING;
  const work = async (session: Session): Promise<void> => {
    for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
      signal.throwIfAborted();
      await waitWhile(() => reasonToWait(session), scene.update, signal);
      const counted = await countPiece(session, scene.source, id, piece, scene.run);
      total = sum(total, counted);
      progress(piece);
    }
  };
  const others = Math.min(jobs, pieces.length) - 1;
  const workers = Array.from({ length: Math.max(0, others) }, async () => {
    const session = await openWorker(scene.session, signal);
    try {
      await work(session);
    } finally {
      await session.close();
    }
  });
  const failing = [work(cancelledBy(scene.session, signal)), ...workers].map((one) =>
    one.catch((thrown) => {
      failed.abort(thrown);
      throw thrown;
    }),
  );
  await Promise.allSettled(failing);
  scene.session.signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  return total;
}

async function waitWhile(
  reason: () => Promise<string | null>,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let why = await reason(); why !== null; why = await reason()) {
    update(`Waiting: ${why}`);
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/** Makes the function that is told of each piece that is done, and tells the user how far it is. */
function createProgress({ source, update }: CountingScene, pieces: readonly Piece[]): (piece: Piece) => void {
  const all = pieces.reduce((total, { rowsEstimate }) => total + rowsEstimate, 0);
  const start = performance.now();
  let [rows, done] = [0, 0];
  update(`Counting ${source.table.name}: ${pieces.length} ranges, some ${count(all)} readings`);
  return ({ rowsEstimate }) => {
    rows += rowsEstimate;
    done += 1;
    const seconds = (performance.now() - start) / 1000;
    const rate = rows / seconds;
    const left = rate > 0 ? `, ${Math.ceil((all - rows) / rate)} s left` : '';
    update(
      `Counting ${source.table.name}: range ${done} of ${pieces.length}, ${count(rows)} of ${count(all)} readings, ${count(rate)} a second${left}`,
    );
  };
}

function count(rows: number): string {
  return Math.round(rows).toLocaleString('en-US');
}
