import { sql } from 'kysely';
import type { ScannedRelation } from './plan-tree.ts';
import type { Scene } from './scene.ts';
import { relationTree } from './scope.ts';
import type { Query } from './seen-queries.ts';

/** A partitioned table. */
export interface PartitionedTable {
  readonly oid: number;
  readonly qualified: string;
  readonly schema: string;
  readonly name: string;
  /** The column that it is partitioned by; null: several, or an expression. */
  readonly key: string | null;
  /** Its own, and those of the views that read it; a quote in them is doubled, as in statements. */
  readonly names: readonly string[];
  readonly leaves: number;
  /** Leaves and their indexes: what a query that prunes nothing locks. */
  readonly relations: number;
  /** Somebody holds a lock on it, a partition or an index, behind which planning would wait; the run reports which. */
  readonly isLocked: boolean;
  readonly members: readonly (readonly [schema: string, name: string])[];
}

/** Reads the tables of more than so many leaves; `locks` is what the server has room for. */
export async function readPartitionedTables(
  scene: Scene,
  locks: number,
): Promise<readonly PartitionedTable[]> {
  // Of tables that are too large to be planned the members are not needed.
  const { rows } = await sql<PartitionedTable>`
    with recursive ${relationTree(scene)},
    counted as materialized (
      select r.root, count(*) filter (where r.is_leaf)::int as leaves,
             (count(*) + (select count(*) from pg_index x join relation i on i.oid = x.indrelid where i.root = r.root))::int as relations,
             bool_or(r.is_locked) as locked
        from relation r group by r.root
    ),
    reading (root, oid) as (
      select r.oid, r.oid from relation r where r.level = 0 and r.kind = 'p'
      union
      select d.root, w.ev_class
        from reading d
        join pg_depend p on p.refclassid = 'pg_class'::regclass and p.refobjid = d.oid and p.classid = 'pg_rewrite'::regclass
        join pg_rewrite w on w.oid = p.objid and w.rulename = '_RETURN'
    ),
    named as materialized (
      select d.root, jsonb_agg(distinct replace(v.relname, '"', '""')) as names from reading d join pg_class v on v.oid = d.oid group by d.root
    )
    select r.oid, r.qualified, r.schema, r.name, n.names, c.leaves,
           (select a.attname::text from pg_partitioned_table p join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
             where p.partrelid = r.oid and p.partnatts = 1) as key, c.relations, c.locked as "isLocked",
           case when c.relations * 2 > ${locks}::int then '[]'::jsonb
                else (select jsonb_agg(jsonb_build_array(m.schema, m.name)) from relation m where m.root = r.oid and m.is_leaf) end as members
      from relation r join counted c on c.root = r.oid join named n on n.root = r.oid
     where r.level = 0 and r.kind = 'p' and c.leaves > ${scene.threshold('leaves')}::int
     order by r.qualified`.execute(scene.session.db);
  return rows;
}

/** Tells whether a query has the name of a table, or of a view of it, in it that is not a part of a longer one. */
export function mentions({ text }: Query, { names }: PartitionedTable): boolean {
  return names.some((name) => {
    const literally = name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return new RegExp(`(?<![\\w$])${literally}(?![\\w$])`, 'iu').test(text);
  });
}

/** How many partitions of a table are among those that a plan reads. */
export function countOf({ members }: PartitionedTable, scanned: readonly ScannedRelation[]): number {
  const own = new Set(members.map((pair) => JSON.stringify(pair)));
  return scanned.filter(({ schema, name }) => own.has(JSON.stringify([schema, name]))).length;
}

/** Says why a query of a table is not planned. */
export function describeLarge({ qualified, leaves, relations }: PartitionedTable, locks: number): string {
  return `${qualified} has ${leaves} partitions: planned without pruning it would lock ${relations} relations, more than half of the ${locks} that the server has locks for`;
}
