import { quoteLiteral } from '../db/quote.ts';
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
  const from = formatHour(cleanUntilHour);
  if (await nothingFrom(session, source, from)) return cleanUntilHour;
  // To plan the comparison alone takes as long as all the rest: it is asked for where there is something to compare.
  const open = { lower: from, last: 'infinity' };
  const { rows } = await session.run<{ differs: boolean }>(rangeDiffers(source, open, MOST_COMPARED));
  return rows[0]?.differs === false ? cleanUntilHour : null;
}

/** Tells whether there are neither readings nor aggregates from an instant on; no, where a policy may hide them. */
async function nothingFrom(session: Session, source: Source, from: string): Promise<boolean> {
  const { table, aggregatesQualified } = source;
  const { rows } = await session.run<{ found: boolean }>(
    `select row_security_active(${table.oid}) or row_security_active(${quoteLiteral(aggregatesQualified)})
         or exists (select from ${table.qualified} r where r."timestamp" >= ${quoteLiteral(from)})
         or exists (select from ${aggregatesQualified} a where a.hour >= ${quoteLiteral(from)}) as found`,
  );
  return rows[0]?.found !== true;
}
