import type { Session } from '../db/session.ts';
import { rangeDiffers } from './count.ts';
import { formatHour } from './hours.ts';
import type { Source } from './source.ts';
import { isSetUp, readSourceState } from './state.ts';

/** Open readings beyond this are counted once, by the refresh itself, rather than first to see whether they changed. */
const MOST_COMPARED = 2000;

/** With more leaves the look at the open hours is left to the refresh, which splits it: each leaf takes a lock, and so do its indexes. */
const MOST_LEAVES = 1000;

/** Tells since when the aggregates are up to date with all that is committed; null when something may be to be done. In a transaction. */
export async function readIdle(session: Session, source: Source, hour: number): Promise<number | null> {
  const state = await readSourceState(session, source);
  const { cleanUntilHour, gateHour, leavesMoved, hasPending, hasChanges, leaves } = state;
  if (!isSetUp(state) || cleanUntilHour === null || gateHour === null || leaves > MOST_LEAVES) return null;
  if (hour > cleanUntilHour || leavesMoved || hasPending || hasChanges) return null;
  const open = { lower: formatHour(cleanUntilHour), last: 'infinity' };
  const { rows } = await session.run<{ differs: boolean }>(rangeDiffers(source, open, MOST_COMPARED));
  return rows[0]?.differs === false ? cleanUntilHour : null;
}
