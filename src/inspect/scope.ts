import { type RawBuilder, sql } from 'kysely';
import type { Scene } from './scene.ts';

/**
 * The tables that are looked at, as a common table expression for `with recursive`: `member (root, oid, parent, level)`.
 *
 * A root is a table that is no partition, or the one of `--table`; its partitions of any depth stand below it with their direct parents, itself with none.
 * Left out are the system's tables and those of extensions, temporary ones, sensordb's own, and partitions whose detach is pending.
 */
export function memberTree({ table }: Scene): RawBuilder<unknown> {
  // A table that is named may be a partition itself, one that is partitioned further.
  const only = table === null ? sql`not c.relispartition` : sql`c.oid = ${String(table.oid)}::oid`;
  return sql`
    member (root, oid, parent, level) as (
      select c.oid, c.oid, null::oid, 0
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
       where c.relkind in ('r', 'p') and c.relpersistence <> 't' and ${only}
         and n.nspname not in ('pg_catalog', 'information_schema', 'sensordb') and n.nspname !~ '^pg_toast'
         and not exists (select from pg_depend d
                          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
      union all
      select m.root, i.inhrelid, i.inhparent, m.level + 1
        from member m
        -- Children of a table that is not partitioned are none of its partitions.
        join pg_partitioned_table p on p.partrelid = m.oid
        join pg_inherits i on i.inhparent = m.oid and not i.inhdetachpending
    )`;
}

/**
 * The same with their names, for `with recursive`: `member` as above, and
 * `relation (root, root_schema, root_name, oid, schema, name, qualified, root_qualified, kind, level, is_leaf, is_locked)`.
 *
 * `kind` is pg_class.relkind; a leaf is a partition or table that holds rows itself, also a foreign table; `is_locked` as `scene.locked`.
 */
export function relationTree(scene: Scene): RawBuilder<unknown> {
  return sql`
    ${memberTree(scene)},
    member_name as materialized (
      select m.root, m.oid, m.level, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
             format('%I.%I', n.nspname, c.relname) as qualified
        from member m
        join pg_class c on c.oid = m.oid
        join pg_namespace n on n.oid = c.relnamespace
    ),
    relation as materialized (
      select m.root, r.schema as root_schema, r.name as root_name, m.oid, m.schema, m.name, m.kind, m.level, m.qualified,
             r.qualified as root_qualified, m.kind <> 'p' as is_leaf, m.oid = any (${scene.locked}::oid[]) as is_locked
        from member_name m
        join member_name r on r.oid = m.root and r.level = 0
    )`;
}
