import { type RawBuilder, sql } from 'kysely';
import { type ColumnLayout, comparableTree } from './node-tree.ts';

/** What two indexes are compared by, as INDEX_SHAPE reads it. */
export interface ShapeRow {
  readonly outline: unknown;
  readonly expressions: string | null;
  readonly predicate: string | null;
  readonly layout: ColumnLayout | null;
}

/**
 * The columns of a ShapeRow, of the index `x` (pg_index) and `i` (pg_class).
 *
 * They hold what CompareIndexInfo compares when an index is attached, and order and nulls besides, which that passes over
 * (14 to 18). From the catalog's columns: pg_get_indexdef would wait for a lock on any of the partitions.
 */
export const INDEX_SHAPE = sql`
  jsonb_build_array(i.relam::int8, x.indisunique, to_jsonb(x) -> 'indnullsnotdistinct', x.indnkeyatts,
    x.indisexclusion, (
    select jsonb_agg(jsonb_build_array(a.attname, x.indcollation[k]::int8, x.indclass[k]::int8,
                       x.indoption[k], o.attoptions) order by k)
      from generate_series(0, x.indnatts - 1) k
      left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[k] and x.indkey[k] <> 0
      left join pg_attribute o on o.attrelid = i.oid and o.attnum = k + 1)) as outline,
  x.indexprs::text as expressions, x.indpred::text as predicate,
  case when x.indexprs is not null or x.indpred is not null then (
    select jsonb_object_agg(a.attnum, a.attname) from pg_attribute a
     where a.attrelid = x.indrelid and a.attnum > 0 and not a.attisdropped) end as layout`;

/**
 * Orders indexes `x` (pg_index) and `i` (pg_class) of one table that index the same: first the one that is to stay when the others
 * go. That is the one on which more depends, then one that has been scanned, then the oldest. `scans` counts those of an index.
 */
export const keptFirst = (scans: RawBuilder<unknown> = sql`pg_stat_get_numscans(i.oid)`) => sql`
  i.relispartition desc,
  exists (select from pg_constraint f where f.conindid = i.oid and f.contype = 'f') desc,
  x.indisreplident desc, x.indisprimary desc,
  exists (select from pg_constraint k where k.conindid = i.oid and k.contype <> 'f') desc,
  x.indisclustered desc,
  ${scans} > 0 desc, i.oid`;

/** Spells the shape of an index: two that index the same have the same, whatever the order of their tables' columns. */
export function shapeOf({ outline, expressions, predicate, layout }: ShapeRow): string {
  return JSON.stringify([
    outline,
    comparableTree(expressions, layout ?? {}),
    comparableTree(predicate, layout ?? {}),
  ]);
}
