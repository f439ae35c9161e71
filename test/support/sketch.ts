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
