import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { formatHour } from './hours.ts';
import type { Source } from './source.ts';
import { isSetUp, readSourceState } from './state.ts';

/** Tells since when the aggregates are up to date with all that is committed; null when something is to be done. In a transaction. */
export async function readIdle(session: Session, source: Source, hour: number): Promise<number | null> {
  const state = await readSourceState(session, source);
  const { cleanUntilHour, gateHour, leavesMoved, hasPending, hasChanges } = state;
  if (!isSetUp(state) || cleanUntilHour === null || gateHour === null) return null;
  if (hour > cleanUntilHour || leavesMoved || hasPending || hasChanges) return null;
  return (await nothingFrom(session, source, formatHour(cleanUntilHour))) ? cleanUntilHour : null;
}

/** Tells whether there are neither readings nor aggregates from an instant on; no, where a policy may hide them. */
export async function nothingFrom(session: Session, source: Source, from: string): Promise<boolean> {
  const { table, aggregatesQualified } = source;
  const { rows } = await session.run<{ found: boolean }>(
    `select row_security_active(${table.oid}) or row_security_active(${quoteLiteral(aggregatesQualified)})
         or exists (select from ${table.qualified} r where r."timestamp" >= ${quoteLiteral(from)})
         or exists (select from ${aggregatesQualified} a where a.hour >= ${quoteLiteral(from)}) as found`,
  );
  return rows[0]?.found !== true;
}
