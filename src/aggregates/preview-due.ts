import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { BEGINNING, END, type Instant, parseInstant, type Range } from '../time/instant.ts';
import type { DeviceHour } from './count.ts';
import { formatHour, toInstant } from './hours.ts';
import type { ReadingsLeaf } from './leaves.ts';
import type { Piece } from './pending.ts';
import { subtractRanges } from './retired.ts';
import type { Source } from './source.ts';
import type { SourceState } from './state.ts';

/** Lists what a setup puts on the list: all there was before, once more where triggers were missing, and what is over since. */
export function dueAfterSetup(
  leaves: readonly ReadingsLeaf[],
  { cleanUntilHour }: SourceState,
  hour: number,
): readonly Range[] {
  if (cleanUntilHour === null || cleanUntilHour >= hour) return coveredBefore(leaves, toInstant(hour));
  const over = { lower: toInstant(cleanUntilHour), upper: toInstant(hour) };
  return [...coveredBefore(leaves, over.lower), over];
}

/** Lists the ranges before an instant that the partitions of a table take readings of; DEFAULT takes all. */
function coveredBefore(leaves: readonly ReadingsLeaf[], until: Instant): readonly Range[] {
  if (leaves.some(({ range }) => range === null)) return [{ lower: BEGINNING, upper: until }];
  const joined: Range[] = [];
  for (const { range } of leaves) {
    if (range === null || range.lower >= until) continue;
    const upper = range.upper < until ? range.upper : until;
    const last = joined.at(-1);
    if (last !== undefined && last.upper >= range.lower)
      joined[joined.length - 1] = { lower: last.lower, upper };
    else joined.push({ lower: range.lower, upper });
  }
  return joined;
}

/** Lists what a recount of a range adds to what is due before an instant. */
export function recounted({ lower, upper }: Range, due: readonly Range[], until: Instant): readonly Range[] {
  const asked = { lower, upper: upper < until ? upper : until };
  return asked.lower < asked.upper ? subtractRanges(asked, due) : [];
}

/** Reads what will be pending once the gate has moved to an hour and the leaves have been noted. */
export async function readPendingAfter(
  session: Session,
  { id }: SourceState,
  hour: number,
): Promise<readonly Range[]> {
  const { rows } = await sql<{ lower: string; upper: string }>`
    with source as (
      select s.id, tstzmultirange(tstzrange(s.clean_until, greatest(s.clean_until, ${formatHour(hour)}::timestamptz))) as due,
             sensordb.unsettled_ranges(s.id) * tstzmultirange(tstzrange(null, greatest(s.clean_until, ${formatHour(hour)}::timestamptz))) as unsettled
        from sensordb.aggregate_source s where s.id = ${id}::bigint
    ),
    listed as (
      select sensordb.span(p.lower_bound, p.upper_bound) as r from sensordb.aggregate_pending p join source s on s.id = p.source_id
    ),
    kept as (
      -- A range that has lost a part to a leaf that went is noted anew.
      select l.r from listed l cross join source s where l.r <@ s.unsettled
      union all
      select r from source s cross join unnest(s.due * s.unsettled) r
    ),
    new as (
      select r from source s
       cross join unnest(s.unsettled - coalesce((select range_agg(k.r) from kept k), '{}')) r
    )
    select coalesce(lower(r), '-infinity')::text as lower, coalesce(upper(r), 'infinity')::text as upper
      from (select r from kept union all select r from new) x`.execute(session.db);
  return rows.map(({ lower, upper }) => ({
    lower: parseInstant(lower) ?? BEGINNING,
    upper: parseInstant(upper) ?? END,
  }));
}

/** Tells of which pieces something is stored. */
export async function readStored(
  session: Session,
  source: Source,
  pieces: readonly Piece[],
): Promise<readonly boolean[]> {
  const found: boolean[] = [];
  for (const { span } of pieces) {
    const stored = sqlStatement('aggregates/stored_range.sql', {
      schema: source.table.schema,
      aggregates: source.aggregates,
      ...span,
    });
    const { rows } = await session.run<{ found: boolean }>(`select exists (${stored}) as found`);
    found.push(rows[0]?.found === true);
  }
  return found;
}

/** Reads the log of changes, each device-hour once; in a transaction. */
export async function readChanges(
  session: Session,
  id: string,
): Promise<readonly (DeviceHour & { readonly is_frozen: boolean })[]> {
  const { rows } = await sql<DeviceHour & { readonly is_frozen: boolean }>`
    with frozen as materialized (select sensordb.retired_ranges(${id}::bigint) as hours)
    select c.device_id::text as device_id, c.hour::text as hour, bool_or(f.hours @> c.hour) as is_frozen
      from sensordb.aggregate_change c cross join frozen f
     where c.source_id = ${id}::bigint
     group by c.device_id, c.hour
     order by c.hour, c.device_id`.execute(session.db);
  return rows;
}
