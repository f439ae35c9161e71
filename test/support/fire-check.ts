import type { Sql } from 'postgres';
import { sketchOf } from './sketch.ts';

const EXACT = `device_id, hour, reading_count, value_sum, value_avg, value_min, value_max, first_at, first_value, last_at, last_value,
  value_sketch`;

/**
 * Lists where the stored aggregates are not what the readings say, and what was done to those of hours whose readings are gone.
 *
 * All but the squares is compared to the last bit, for the values are sums of powers of two.
 */
export async function findFaults(sql: Sql): Promise<readonly string[]> {
  const rows = await sql.unsafe<{ fault: string }[]>(`
    with frozen as materialized (select sensordb.retired_ranges(s.id) as ranges from sensordb.aggregate_source s),
    stored as materialized (
      select * from sensors_sensoraggregate a where not exists (select from frozen f where f.ranges @> a.hour)
    ),
    fresh as materialized (
      select *, value_sum / reading_count as value_avg, ${sketchOf('g.vals')} as value_sketch from (
        select device_id, date_trunc('hour', "timestamp" at time zone 'UTC') at time zone 'UTC' as hour, count(*) as reading_count,
               sum(value) as value_sum, min(value) as value_min, max(value) as value_max,
               min("timestamp") as first_at, (array_agg(value order by "timestamp", id))[1] as first_value,
               max("timestamp") as last_at, (array_agg(value order by "timestamp" desc, id desc))[1] as last_value,
               coalesce(var_pop(value) * count(*), 0) as value_sxx, array_agg(value) as vals
          from sensors_sensorreading r group by 1, 2
      ) g where not exists (select from frozen f where f.ranges @> g.hour)
    ),
    lacking as (select ${EXACT} from fresh except all select ${EXACT} from stored),
    surplus as (select ${EXACT} from stored except all select ${EXACT} from fresh)
    select 'lacking ' || l::text as fault from lacking l
    union all select 'surplus ' || s::text from surplus s
    union all
    select format('squares of %s at %s', f.device_id, f.hour)
      from fresh f join stored s using (device_id, hour)
     where abs(f.value_sxx - s.value_sxx) > 1e-9 * greatest(f.value_sxx, s.value_sxx)
    union all select format('%s of the frozen hour %s of %s', v.what, v.hour, v.device_id) from fire_violation v`);
  return rows.map(({ fault }) => fault);
}
