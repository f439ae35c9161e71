/** SQL for the sketch of an array of values, made otherwise than sensordb makes it. */
export function sketchOf(values: string): string {
  return `(
    select array_agg((k.bucket * 16384 + k.digit * 4096 + mod(div(k.n, 4096.0 ^ k.digit), 4096))::int order by k.bucket, k.digit)
             filter (where mod(div(k.n, 4096.0 ^ k.digit), 4096) > 0)
      from (
        select b.bucket, count(*)::numeric as n, digit
          from unnest(${values}) as x (value), generate_series(0, 3) digit,
               lateral (select case when value = 'NaN' then 100001 when value = 0 then 0 when abs(value) = 'infinity' then 100000 * sign(value)
                               else sign(value) * (40000 + floor(ln(abs(value)) / 0.02::float8 + 0.5)) end::int as bucket) b
         group by b.bucket, digit
      ) k)`;
}

/**
 * Five readings a minute apart, in two ways that only the sketch tells from each other: all else that an aggregate says is the same.
 *
 * Multiples of 60 leave nothing to be rounded when their squares are summed.
 */
export const TWINS = {
  first: [-600, 0, 180, 180, 600],
  second: [-600, 60, 60, 240, 600],
} as const;

/** The statement that inserts one of the two as readings of a device from an instant on. */
export function insertTwin(values: readonly number[], device: number, from: string): string {
  return `insert into sensors_sensorreading (device_id, "timestamp", value)
    select ${device}, '${from}'::timestamptz + n * interval '1 minute', v from unnest('{${values.join()}}'::float8[]) with ordinality v (v, n)`;
}

/** The statement that turns the readings of one into those of the other, in whichever table they are. */
export function turnTwin(
  table: string,
  device: number,
  from: string,
  into: readonly number[] = TWINS.second,
): string {
  return `update ${table} r set value = v
    from unnest('{${into.join()}}'::float8[]) with ordinality v (v, n)
    where r.device_id = ${device} and r."timestamp" = '${from}'::timestamptz + n * interval '1 minute'`;
}
