import { sql } from 'kysely';
import { groupBy } from '../../partitions/drift.ts';
import { INDEX_SHAPE, keptFirst, type ShapeRow, shapeOf } from '../../partitions/index-shape.ts';
import type { Scene } from '../scene.ts';
import { memberTree } from '../scope.ts';
import { BUILDING, isManaged } from './repair.ts';

/** An index of a partitioned table that is invalid, and one of the direct partitions of that table. */
export interface ParentPlace {
  /** Of the partitioned table, at whatever depth. */
  readonly index: string;
  /** The one at the very top, which is one with `index` most often. */
  readonly rootIndex: string;
  readonly rootTable: string;
  readonly rootIsUnique: boolean;
  /** Sensordb's own commands work on the table. */
  readonly isManaged: boolean;
  readonly isExclusion: boolean;
  /** p or u; null: no constraint stands on it. */
  readonly constraintType: string | null;
  readonly isUnique: boolean;
  /** What follows USING. */
  readonly definition: string;
  readonly columns: readonly string[];
  /** The partition, and pg_class.relkind of it; null: the table has none. */
  readonly partition: string | null;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  /** Somebody is building an index on it. */
  readonly isBuilding: boolean;
  /** The index that is attached; null: none is. */
  readonly child: string | null;
  readonly childIsValid: boolean | null;
  /** A valid index of it that is attached to none, and indexes the same; of several the one that is to stay. */
  readonly alike: string | null;
  /** The names of its indexes. */
  readonly taken: readonly string[];
}

interface Loose extends ShapeRow {
  readonly index: string;
}

type Row = Omit<ParentPlace, 'alike'> & ShapeRow & { readonly loose: readonly Loose[] | null };

/**
 * Reads the invalid indexes of partitioned tables, each with the direct partitions of its table.
 *
 * Such an index is valid only when each direct partition has one attached that is valid (14 to 18), so what lacks one is found here.
 */
export async function readInvalidParents(scene: Scene): Promise<readonly ParentPlace[]> {
  const { rows } = await sql<Row>`
    with recursive ${memberTree(scene)}, ${BUILDING},
    parent as materialized (
      select x.indexrelid as oid, m.oid as relation, m.root
        from pg_index x
        join pg_class i on i.oid = x.indexrelid and i.relkind = 'I'
        join member m on m.oid = x.indrelid
       where not x.indisvalid and x.indrelid <> all (${scene.locked}::oid[])
    ),
    above (oid, index) as (
      select p.oid, p.oid from parent p
      union all
      select a.oid, h.inhparent from above a join pg_inherits h on h.inhrelid = a.index
    ),
    described as materialized (
      select p.oid, p.relation, format('%I.%I', n.nspname, i.relname) as index, x.indisunique as "isUnique",
             x.indisexclusion as "isExclusion", format('%I.%I', rn.nspname, r.relname) as "rootTable",
             format('%I.%I', an.nspname, ai.relname) as "rootIndex", ax.indisunique as "rootIsUnique",
             ${isManaged('p.root')} as "isManaged", k.contype::text as "constraintType",
             substr(pg_get_indexdef(p.oid), length(format('CREATE %sINDEX %I ON ONLY %I.%I USING ',
                    case when x.indisunique then 'UNIQUE ' else '' end, i.relname, tn.nspname, t.relname)) + 1) as definition,
             (select jsonb_agg(coalesce(c.attname, 'expr') order by at)
                from generate_series(0, x.indnkeyatts - 1) at
                left join pg_attribute c on c.attrelid = x.indrelid and c.attnum = x.indkey[at] and c.attnum <> 0) as columns,
             f.*
        from parent p
        join pg_index x on x.indexrelid = p.oid
        join pg_class i on i.oid = p.oid join pg_namespace n on n.oid = i.relnamespace
        join pg_class t on t.oid = p.relation join pg_namespace tn on tn.oid = t.relnamespace
        join pg_class r on r.oid = p.root join pg_namespace rn on rn.oid = r.relnamespace
        join above a on a.oid = p.oid
        join pg_class ai on ai.oid = a.index and not ai.relispartition join pg_namespace an on an.oid = ai.relnamespace
        join pg_index ax on ax.indexrelid = a.index
        left join pg_constraint k on k.conindid = p.oid and k.conrelid = p.relation and k.contype in ('p', 'u')
        cross join lateral (select ${INDEX_SHAPE}) f
    ),
    child as materialized (
      select h.inhparent as index, x.indrelid as relation, x.indisvalid, format('%I.%I', n.nspname, i.relname) as name
        from parent p
        join pg_inherits h on h.inhparent = p.oid
        join pg_index x on x.indexrelid = h.inhrelid
        join pg_class i on i.oid = h.inhrelid join pg_namespace n on n.oid = i.relnamespace
    )
    select d.*, case when c.oid is not null then format('%I.%I', n.nspname, c.relname) end as partition, n.nspname::text as schema,
           c.relname::text as name, c.relkind::text as kind, b.oid is not null as "isBuilding",
           h.name as child, h.indisvalid as "childIsValid", l.loose, coalesce(l.taken, '[]') as taken
      from described d
      left join member m on m.parent = d.relation
      left join pg_class c on c.oid = m.oid
      left join pg_namespace n on n.oid = c.relnamespace
      left join building b on b.oid = m.oid
      left join child h on h.index = d.oid and h.relation = m.oid
      left join lateral (
        select jsonb_agg(to_jsonb(s) || jsonb_build_object('index', format('%I.%I', ln.nspname, i.relname)) order by ${keptFirst()})
                 filter (where x.indisvalid and not i.relispartition) as loose,
               jsonb_agg(i.relname) as taken
          from pg_index x
          join pg_class i on i.oid = x.indexrelid join pg_namespace ln on ln.oid = i.relnamespace
          cross join lateral (select ${INDEX_SHAPE}) s
         where x.indrelid = m.oid and h.index is null
      ) l on true
     order by d."rootIndex", d.index, n.nspname, c.relname`.execute(scene.session.db);
  return rows.map(({ loose, ...row }) => {
    const shape = loose === null ? null : shapeOf(row);
    return { ...row, alike: loose?.find((one) => shapeOf(one) === shape)?.index ?? null };
  });
}

/** Takes together what belongs to one logical index. */
export function byRoot(places: readonly ParentPlace[]): readonly (readonly ParentPlace[])[] {
  return [...groupBy(places, ({ rootIndex }) => rootIndex).values()];
}
