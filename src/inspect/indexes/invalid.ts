import { sql } from 'kysely';
import { INDEX_SHAPE, type ShapeRow, shapeOf } from '../../partitions/index-shape.ts';
import type { Scene } from '../scene.ts';
import { memberTree } from '../scope.ts';
import { BUILDING, isManaged } from './repair.ts';

/** An index of a table or partition that is invalid. */
export interface InvalidIndex {
  readonly oid: number;
  readonly index: string;
  readonly table: string;
  readonly isUnique: boolean;
  /** What is to be dropped: made by REINDEX CONCURRENTLY for a moment, or being dropped already. */
  readonly isLeftover: boolean;
  /** The index that it is attached to, and the one at the very top. */
  readonly parentIndex: string | null;
  readonly rootIndex: string | null;
  readonly rootIsUnique: boolean;
  /** The partitioned table, if sensordb's own commands work on it. */
  readonly managedRoot: string | null;
  /** It is attached to none, and the partitioned table has an invalid index like it. */
  readonly isLacking: boolean;
}

type Row = Omit<InvalidIndex, 'isLacking'> & ShapeRow & { readonly wanted: readonly ShapeRow[] | null };

/** Reads the indexes that are invalid although nobody builds one on their table. */
export async function readInvalid(scene: Scene): Promise<readonly InvalidIndex[]> {
  const { rows } = await sql<Row>`
    with recursive ${memberTree(scene)}, ${BUILDING},
    invalid as materialized (
      select x.indexrelid as oid, m.root, m.parent, coalesce(m.oid, x.indrelid) as relation
        from pg_index x
        join pg_class i on i.oid = x.indexrelid and i.relkind = 'i'
        left join pg_class t on t.reltoastrelid = x.indrelid
        join member m on m.oid = coalesce(t.oid, x.indrelid)
       where not x.indisvalid
         and not exists (select from building b where b.oid in (x.indrelid, m.oid))
    ),
    above (oid, index) as (
      select v.oid, v.oid from invalid v
      union all
      select a.oid, h.inhparent from above a join pg_inherits h on h.inhrelid = a.index
    )
    select i.oid, format('%I.%I', n.nspname, i.relname) as index, format('%I.%I', tn.nspname, t.relname) as "table",
           x.indisunique as "isUnique", not x.indislive or i.relname ~ '_cc(new|old)[0-9]*$' as "isLeftover",
           pi.name as "parentIndex", ri.name as "rootIndex", coalesce(ri.is_unique, false) as "rootIsUnique",
           case when ${isManaged('v.root')} then format('%I.%I', rn.nspname, r.relname) end as "managedRoot",
           f.*, w.wanted
      from invalid v
      join pg_index x on x.indexrelid = v.oid
      join pg_class i on i.oid = v.oid join pg_namespace n on n.oid = i.relnamespace
      join pg_class t on t.oid = v.relation join pg_namespace tn on tn.oid = t.relnamespace
      join pg_class r on r.oid = v.root join pg_namespace rn on rn.oid = r.relnamespace
      left join pg_inherits h on h.inhrelid = v.oid
      cross join lateral (select ${INDEX_SHAPE}) f
      left join lateral (select format('%I.%I', pn.nspname, p.relname) as name
                           from pg_class p join pg_namespace pn on pn.oid = p.relnamespace where p.oid = h.inhparent) pi on true
      left join lateral (select format('%I.%I', tn.nspname, top.relname) as name, tx.indisunique as is_unique
                           from above a
                           join pg_class top on top.oid = a.index and top.relkind = 'I' and not top.relispartition
                           join pg_namespace tn on tn.oid = top.relnamespace
                           join pg_index tx on tx.indexrelid = a.index
                          where a.oid = v.oid) ri on true
      left join lateral (select jsonb_agg(to_jsonb(s)) as wanted
                           from pg_index x
                           join pg_class i on i.oid = x.indexrelid
                           cross join lateral (select ${INDEX_SHAPE}) s
                          where x.indrelid = v.parent and not x.indisvalid) w on true
     order by 2`.execute(scene.session.db);
  return rows.map(({ wanted, ...row }) => ({
    ...row,
    isLacking: row.parentIndex === null && (wanted ?? []).some((one) => shapeOf(one) === shapeOf(row)),
  }));
}
