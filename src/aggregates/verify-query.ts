import { type RawBuilder, sql } from 'kysely';
import type { Session } from '../db/session.ts';
import type { Span } from './count.ts';
import type { Source } from './source.ts';
import { sketchOf, sketchText } from './verify-sketch.ts';
import { sumWithin, sxxWithin } from './verify-tolerance.ts';

/** What one comparison is made with. */
export interface Comparison {
  readonly source: Source;
  /** Names the source in sensordb's own tables. */
  readonly id: string;
  readonly span: Span;
  readonly tolerance: string;
  /** Hours within that are not to be compared, as PostgreSQL spells multiranges. */
  readonly unsettled: string;
  readonly retired: string;
  /** Sums that overflow are NaN, as they are stored: many times slower. */
  readonly nan: boolean;
}

/** The columns of an aggregate that are compared, by the keys under which they are shown. */
export const COLUMNS = {
  readingCount: 'reading_count',
  valueSum: 'value_sum',
  valueMin: 'value_min',
  valueMax: 'value_max',
  valueSxx: 'value_sxx',
  firstAt: 'first_at',
  firstValue: 'first_value',
  lastAt: 'last_at',
  lastValue: 'last_value',
  valueSketch: 'value_sketch',
} as const;

/** One column of an aggregate that is compared. */
export type Column = keyof typeof COLUMNS;

const KEYS = Object.keys(COLUMNS) as readonly Column[];

const text = (value: string): RawBuilder<unknown> => sql.lit(value);

/**
 * The readings, aggregated as PostgreSQL's own functions do, and not by those of a refresh: what it gets wrong shall show.
 *
 * Literal bounds keep PostgreSQL to the leaves of the slice.
 */
function fresh({ source: { table }, span, nan }: Comparison) {
  const sums = nan
    ? sql`(sensordb.moments_or_nan(r.value))[2] as value_sum, (sensordb.moments_or_nan(r.value))[3] as value_sxx`
    : sql`sum(r.value) as value_sum, regr_sxx(r.value, r.value) as value_sxx`;
  return sql`
    select g.*, g.found[1] as first_value, g.found[g.reading_count] as last_value,
           (${sketchOf(sql`g.found`)}) as value_sketch
      from (
        select r.device_id, sensordb.hour_of(r."timestamp") as hour, count(*) as reading_count, ${sums},
               min(r.value) as value_min, max(r.value) as value_max,
               min(r."timestamp") as first_at, max(r."timestamp") as last_at,
               array_agg(r.value order by r."timestamp", r.id) as found
          from ${sql.id(table.schema, table.name)} r
         where r."timestamp" >= ${text(span.lower)}::timestamptz and r."timestamp" <= ${text(span.last)}::timestamptz
         group by 1, 2
      ) g
     -- Or PostgreSQL would make the sketch anew wherever it is named.
    offset 0`;
}

/** Each device-hour of a slice, as it is stored and as it is counted now, and whether it may be compared. */
function pairs(comparison: Comparison) {
  const { source, id, span, unsettled, retired } = comparison;
  const [lower, last] = [text(span.lower), text(span.last)];
  return sql`
    fresh as (${fresh(comparison)}),
    stored as (
      select a.* from ${sql.id(source.table.schema, source.aggregates)} a
       where a.hour >= ${lower}::timestamptz and a.hour <= ${last}::timestamptz
    ),
    dirty as (
      select distinct c.device_id, c.hour from sensordb.aggregate_change c
       where c.source_id = ${text(id)}::bigint and c.hour >= ${lower}::timestamptz and c.hour <= ${last}::timestamptz
    ),
    judged as (
      select coalesce(f.device_id, s.device_id) as device_id, coalesce(f.hour, s.hour) as hour,
             f as counted, s as stored,
             case when d.device_id is not null then 'dirty'
                  when ${text(retired)}::tstzmultirange @> coalesce(f.hour, s.hour) then 'retired'
                  when ${text(unsettled)}::tstzmultirange @> coalesce(f.hour, s.hour) then 'changedLeaf'
                  when f.hour is null then 'extra'
                  when s.hour is null then 'missing'
                  when ${sql.join(
                    KEYS.map((key) => differs(key, comparison)),
                    sql` or `,
                  )} then 'wrong'
                  else 'right' end as verdict
        from fresh f
        full join stored s on s.device_id = f.device_id and s.hour = f.hour
        left join dirty d on d.device_id = coalesce(f.device_id, s.device_id) and d.hour = coalesce(f.hour, s.hour)
    )`;
}

function differs(key: Column, { tolerance }: Comparison) {
  const column = COLUMNS[key];
  const [f, s] = [sql.id('f', column), sql.id('s', column)];
  if (key !== 'valueSum' && key !== 'valueSxx') return sql`${f} <> ${s}`;
  const within = key === 'valueSum' ? sumWithin(tolerance) : sxxWithin(tolerance);
  return sql`(${f} <> ${s} and not ${within})`;
}

/** How many device-hours were judged how. */
export interface VerdictCount {
  readonly verdict: 'dirty' | 'retired' | 'changedLeaf' | 'extra' | 'missing' | 'wrong' | 'right';
  readonly hours: number;
  /** Readings that were counted. */
  readonly readings: number;
}

/** Compares all device-hours of a slice; in a transaction of one snapshot. */
export async function countVerdicts(
  session: Session,
  comparison: Comparison,
): Promise<readonly VerdictCount[]> {
  const { rows } = await sql<VerdictCount>`
    with ${pairs(comparison)}
    select j.verdict, count(*)::float8 as hours, coalesce(sum((j.counted).reading_count), 0)::float8 as readings
      from judged j group by j.verdict`.execute(session.db);
  return rows;
}

/** The values of an aggregate, as text; of its sketch what differs. */
type Values = Readonly<Record<Exclude<Column, 'valueSketch'>, string> & { valueSketch: string | null }>;

/** A device-hour whose aggregate is not what its readings say. */
export interface MismatchRow {
  readonly device: string;
  readonly hour: string;
  readonly kind: 'extra' | 'missing' | 'wrong';
  /** What differs; all of a row that is missing, or should not be there. */
  readonly differs: readonly Column[];
  readonly stored: Values | null;
  readonly counted: Values | null;
}

/** Lists the mismatches of a slice, in the order of hours and devices, so many at most; in the same transaction. */
export async function listMismatches(
  session: Session,
  comparison: Comparison,
  limit: number,
): Promise<readonly MismatchRow[]> {
  const value = (key: Column, alias: string, other: string) =>
    key === 'valueSketch'
      ? sketchText(sql.ref(`${alias}.value_sketch`), sql.ref(`${other}.value_sketch`))
      : sql`${sql.ref(`${alias}.${COLUMNS[key]}`)}::text`;
  const values = (alias: string, other: string) =>
    sql`case when (${sql.ref(`${alias}.hour`)}) is not null then jsonb_build_object(${sql.join(
      KEYS.flatMap((key) => [text(key), value(key, alias, other)]),
    )}) end`;
  const { rows } = await sql<MismatchRow>`
    with ${pairs(comparison)}
    select j.device_id::text as device, j.hour::text as hour, j.verdict as kind,
           case when j.verdict = 'wrong' then to_jsonb(array_remove(array[${sql.join(
             KEYS.map((key) => sql`case when ${differs(key, comparison)} then ${text(key)} end`),
           )}], null)) else ${text(JSON.stringify(KEYS))}::jsonb end as differs,
           ${values('s', 'f')} as stored, ${values('f', 's')} as counted
      from judged j
      left join lateral (select (j.counted).*) f on true
      left join lateral (select (j.stored).*) s on true
     where j.verdict in ('extra', 'missing', 'wrong')
     order by j.hour, j.device_id
     limit ${sql.lit(limit)}`.execute(session.db);
  return rows;
}
