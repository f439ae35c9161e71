import { quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { isServerError, SQLSTATE } from '../db/sqlstate.ts';
import type { Source } from './source.ts';

/** What counting came to: device-hours counted, rows of the aggregates written and removed. */
export interface Counted {
  readonly counted: number;
  readonly written: number;
  readonly removed: number;
  /** Device-hours whose sums are too large for a double precision, and are NaN. */
  readonly overflowed: number;
  /** One of them, as people are told; null: there is none. */
  readonly overflowedAt: string | null;
}

/** What no counting comes to. */
export const NOTHING: Counted = { counted: 0, written: 0, removed: 0, overflowed: 0, overflowedAt: null };

/** Adds up what several pieces came to. */
export function sum(a: Counted, b: Counted): Counted {
  return {
    counted: a.counted + b.counted,
    written: a.written + b.written,
    removed: a.removed + b.removed,
    overflowed: a.overflowed + b.overflowed,
    overflowedAt: a.overflowedAt ?? b.overflowedAt,
  };
}

/** A range of whole hours as PostgreSQL spells its ends, both inclusive: `infinity` is an instant that a reading can have. */
export interface Span {
  readonly lower: string;
  readonly last: string;
}

/** Makes the statement that counts a range anew; `moments` is the aggregate of sensordb that sums. */
export function countRange(source: Source, span: Span, moments: Moments): string {
  const stored = sqlStatement('aggregates/stored_range.sql', { ...stores(source), ...span });
  return compareAndStore(source, freshRange(source, span, moments), stored);
}

/** Makes the statement that counts a range of which nothing is stored: ON CONFLICT would take half as long again. */
export function countNewRange(source: Source, span: Span, moments: Moments): string {
  return `${sqlStatement('aggregates/store_new.sql', stores(source))}\n${freshRange(source, span, moments)}`;
}

function freshRange({ table }: Source, { lower, last }: Span, moments: Moments): string {
  return sqlStatement('aggregates/fresh_range.sql', {
    schema: table.schema,
    table: table.name,
    moments,
    lower,
    last,
    // date_bin passes infinite instants through, whatever the origin; the origin itself must be finite (22008).
    origin: lower === '-infinity' ? '2000-01-01 00:00:00+00' : lower,
  });
}

/**
 * Makes the query that tells whether a range may have to be counted anew: what is stored of it is something else, or so many
 * readings that they are not counted for this answer alone.
 */
export function rangeDiffers(source: Source, span: Span, most: number): string {
  const { schema, name, qualified } = source.table;
  const stored = sqlStatement('aggregates/stored_range.sql', { ...stores(source), ...span });
  const differs = sqlStatement('aggregates/open_differs.sql', {
    schema,
    table: name,
    readings: qualified,
    stored_in: source.aggregatesQualified,
    most: String(most),
    ...span,
  });
  return `${freshAndStored(freshRange(source, span, 'moments'), stored)}\n${differs}`;
}

function compareAndStore(source: Source, fresh: string, stored: string): string {
  return `${freshAndStored(fresh, stored)},\n${sqlStatement('aggregates/store.sql', stores(source))}`;
}

function freshAndStored(fresh: string, stored: string): string {
  return `with fresh as materialized (\n${fresh}\n),\nstored as materialized (\n${stored}\n)`;
}

function stores({ table, aggregates }: Source) {
  return { schema: table.schema, aggregates };
}

/** Which aggregate sums: `moments` fails where sums overflow, `moments_or_nan` is many times slower. */
export type Moments = 'moments' | 'moments_or_nan';

/** A device and an hour, as PostgreSQL spells them. */
export interface DeviceHour {
  readonly device_id: string;
  readonly hour: string;
}

/** Makes the statement that counts single device-hours of a range anew. */
export function countHours(
  source: Source,
  hours: readonly DeviceHour[],
  { lower, last }: Span,
  moments: Moments,
): string {
  const { table } = source;
  const wanted = {
    devices: `{${hours.map(({ device_id }) => device_id).join()}}`,
    hours: `{${hours.map(({ hour }) => JSON.stringify(hour)).join()}}`,
  };
  const read = { schema: table.schema, table: table.name, moments, lower, last };
  return compareAndStore(
    source,
    sqlStatement('aggregates/fresh_hours.sql', { ...read, ...wanted }),
    sqlStatement('aggregates/stored_hours.sql', { ...stores(source), ...wanted }),
  );
}

/**
 * Sends a counting statement in the transaction that is open; where a sum overflows, it is sent again in the way that stores NaN.
 */
export async function count(
  session: Session,
  source: Source,
  span: Span,
  statement: (moments: Moments) => string,
): Promise<Counted> {
  await session.run('savepoint counting');
  try {
    return await send(session, statement('moments'));
  } catch (thrown) {
    if (!isServerError(thrown) || thrown.code !== SQLSTATE.numericValueOutOfRange) throw thrown;
    await session.run('rollback to savepoint counting');
    const counted = await send(session, statement('moments_or_nan'));
    return { ...counted, ...(await readOverflowed(session, source, span)) };
  }
}

type StoredCount = Pick<Counted, 'counted' | 'written' | 'removed'>;

async function send(session: Session, text: string): Promise<Counted> {
  const { rows, count: stored } = await session.run<StoredCount>(text);
  // A plain INSERT says by its tag how many rows it stored, and gives none.
  return { ...NOTHING, ...(rows[0] ?? { counted: stored ?? 0, written: stored ?? 0 }) };
}

/** Finds the device-hours whose sums are NaN though no reading of theirs is infinite or NaN. */
async function readOverflowed(
  session: Session,
  source: Source,
  span: Span,
): Promise<Pick<Counted, 'overflowed' | 'overflowedAt'>> {
  const stored = sqlStatement('aggregates/stored_range.sql', { ...stores(source), ...span });
  const { rows } = await session.run<{ overflowed: number; overflowedAt: string | null }>(`
    select count(*)::int as overflowed, min(format('device %s at %s', s.device_id, s.hour)) as "overflowedAt"
      from (${stored}) s
     where 'NaN' in (s.value_sum, s.value_sxx) and s.value_min > '-infinity' and s.value_max < 'infinity'`);
  return rows[0] ?? { overflowed: 0, overflowedAt: null };
}

/** Sets what the sorts and hashes of this transaction may take, in megabytes. */
export function workMemory(megabytes: number): string {
  return `set local work_mem to ${quoteLiteral(`${megabytes}MB`)}`;
}
