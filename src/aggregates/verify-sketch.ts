import { type RawBuilder, sql } from 'kysely';

/**
 * The query for the sketch of an array of values, spelled otherwise than the functions of a refresh: what they get wrong shall show.
 *
 * OFFSET 0 has each value put into its bucket once, and the buckets alone sorted.
 */
export function sketchOf(values: RawBuilder<unknown>) {
  return sql`
    select array_agg(d.bucket * 16384 + d.place * 4096 + (d.count >> 12 * d.place & 4095)::int)
      from (
        select b.bucket, b.count, generate_series(0, case when b.count < 4096 then 0 else 3 end) as place
          from (
            select b.bucket, count(*) as count
              from (
                select (case when v.v = 'NaN' then 100001
                             when abs(v.v) = 'Infinity' then sign(v.v) * 100000
                             when v.v <> 0 then sign(v.v) * (40000 + round(ln(abs(v.v)) * 50)) else 0 end)::int as bucket
                  from (select unnest(${values}) as v offset 0) v
                offset 0
              ) b
             group by b.bucket
             order by b.bucket
          ) b
      ) d
     where d.count >> 12 * d.place & 4095 > 0`;
}

/** The buckets of an array, with how many values each holds. */
const buckets = (sketch: RawBuilder<unknown>) => sql`
  select e >> 14 as bucket, sum((e & 4095)::bigint << 12 * (e >> 12 & 3)) as count from unnest(${sketch}) e group by 1`;

/** What a sketch says otherwise than another: the middles of at most three buckets, with their counts; null: nothing. */
export function sketchText(sketch: RawBuilder<unknown>, other: RawBuilder<unknown>) {
  return sql`(
    select string_agg(case when d.nth > 3 then '…' else format('%s × %s', d.count, case
             when d.bucket = 100001 then 'NaN'
             when abs(d.bucket) = 100000 then (sign(d.bucket) * float8 'Infinity')::text
             when d.bucket = 0 then '0'
             else trim(to_char(sign(d.bucket) * exp(greatest(-700, least(700, (abs(d.bucket) - 40000) / 50.0::float8))), '9.99EEEE')) end) end, ', ' order by d.bucket)
      from (select o.*, row_number() over (order by o.bucket) as nth from (${buckets(sketch)} except ${buckets(other)}) o) d
     where d.nth <= 4)`;
}
