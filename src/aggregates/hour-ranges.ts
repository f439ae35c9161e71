import { sql } from 'kysely';
import { failure } from '../cli/errors.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { BEGINNING, END, parseInstant, type Range } from '../time/instant.ts';
import { spellInstant } from './leaves.ts';
import { inSnapshot } from './snapshot.ts';
import type { Source } from './source.ts';

/** Why hours are not compared. */
export type Reason = 'dirty' | 'pending' | 'changedLeaf' | 'open' | 'retired';

/** A range of hours that are not compared as a whole. */
export interface UncheckedRange {
  readonly reason: Exclude<Reason, 'dirty'>;
  readonly range: Range;
}

/** What there is to verify. */
export interface VerifiableHours {
  /** Names the source in sensordb's own tables. */
  readonly id: string;
  /** The hours whose aggregates should be right, but for those that the log names. */
  readonly settled: readonly Range[];
  readonly unchecked: readonly UncheckedRange[];
  /** How many aggregates there are in the unchecked ranges. */
  readonly uncheckedHours: Readonly<Partial<Record<Reason, number>>>;
}

/** Hours of one kind, their bounds as PostgreSQL spells them. */
export interface RangeRow {
  readonly id: string;
  readonly reason: UncheckedRange['reason'] | 'settled';
  readonly lower: string;
  readonly upper: string;
}

/** Reads which hours of a range can be compared, and why the others cannot; throws where nothing was ever set up. */
export async function readVerifiable(
  session: Session,
  source: Source,
  range: Range,
): Promise<VerifiableHours> {
  const { ranges, counts } = await read(session, source, range);
  const [first] = ranges;
  if (first === undefined) throw notSetUp(source);
  return {
    id: first.id,
    settled: ranges.filter(({ reason }) => reason === 'settled').map(rangeOf),
    unchecked: ranges.flatMap((row) =>
      row.reason === 'settled' ? [] : [{ reason: row.reason, range: rangeOf(row) }],
    ),
    uncheckedHours: Object.fromEntries(counts.map(({ reason, hours }) => [reason, hours])),
  };
}

/** Gives the range of a row as instants. */
export function rangeOf({ lower, upper }: Pick<RangeRow, 'lower' | 'upper'>): Range {
  return { lower: parseInstant(lower) ?? BEGINNING, upper: parseInstant(upper) ?? END };
}

/** Spells the ranges of one kind as a multirange of PostgreSQL. */
export function multirangeOf(rows: readonly RangeRow[], reason: RangeRow['reason']): string {
  const end = (text: string): string => (text.endsWith('infinity') ? '' : JSON.stringify(text));
  const ranges = rows.filter((row) => row.reason === reason);
  return `{${ranges.map(({ lower, upper }) => `[${end(lower)},${end(upper)})`).join()}}`;
}

interface Read {
  readonly ranges: readonly RangeRow[];
  readonly counts: readonly { readonly reason: Reason; readonly hours: number }[];
}

async function read(session: Session, source: Source, range: Range): Promise<Read> {
  try {
    return await inSnapshot(session, source, async () => {
      const ranges = await readRanges(session, source, range);
      return { ranges, counts: await countStored(session, source, ranges) };
    });
  } catch (thrown) {
    // Sensordb's own tables are not there yet, or older than this sensordb.
    if (sqlstateOf(thrown) === SQLSTATE.undefinedTable) return { ranges: [], counts: [] };
    throw thrown;
  }
}

/** Sorts the hours of a range by what is known of them; none where the source was never set up. One query. */
export async function readRanges(
  session: Session,
  { table }: Source,
  { lower, upper }: Range,
): Promise<readonly RangeRow[]> {
  const { rows } = await sql<RangeRow>`
    with source as materialized (
      select s.id, tstzmultirange(tstzrange(nullif(s.clean_until, '-infinity'), null)) as open,
             sensordb.retired_ranges(s.id) as retired, sensordb.unsettled_ranges(s.id) as unsettled,
             coalesce((select range_agg(sensordb.span(p.lower_bound, p.upper_bound))
                         from sensordb.aggregate_pending p where p.source_id = s.id), '{}') as pending
        from sensordb.aggregate_source s
       where s.readings = ${String(table.oid)}::oid
    )
    select s.id::text as id, k.reason,
           coalesce(lower(r), '-infinity')::text as lower, coalesce(upper(r), 'infinity')::text as upper
      from source s
      cross join lateral (values
        ('settled', '{(,)}'::tstzmultirange - s.unsettled - s.retired),
        ('open', s.unsettled * s.open),
        ('pending', s.unsettled * s.pending - s.open),
        ('changedLeaf', s.unsettled - s.open - s.pending),
        ('retired', s.retired)
      ) k (reason, hours)
      cross join lateral unnest(k.hours * tstzmultirange(
        sensordb.span(${spellInstant(lower)}::timestamptz, ${spellInstant(upper)}::timestamptz))) r
     order by r, k.reason`.execute(session.db);
  return rows;
}

async function countStored(session: Session, source: Source, ranges: readonly RangeRow[]) {
  const unchecked = ranges.filter(({ reason }) => reason !== 'settled');
  if (unchecked.length === 0) return [];
  const { table, aggregates } = source;
  const { rows } = await sql<{ reason: Reason; hours: number }>`
    with wanted as materialized (
      select w.reason, range_agg(sensordb.span(w.lower, w.upper)) as hours
        from jsonb_to_recordset(${JSON.stringify(unchecked)}::jsonb) as w (reason text, lower timestamptz, upper timestamptz)
       group by w.reason
    )
    select w.reason, count(*)::float8 as hours
      from wanted w join ${sql.id(table.schema, aggregates)} a on w.hours @> a.hour
     group by w.reason`.execute(session.db);
  return rows;
}

function notSetUp({ table }: Source): Error {
  return failure(
    'not_set_up',
    `No aggregates are kept of ${table.qualified} yet: there is nothing to verify.`,
    {
      object: table.qualified,
      hint: 'sensordb aggregates backfill counts its history, and logs late changes from then on.',
    },
  );
}
