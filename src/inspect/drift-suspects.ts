import { sql } from 'kysely';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';

/**
 * Finds the tables at the top of trees in which anything differs that `partitions repair` could judge to be drift: one query.
 *
 * What it leaves out has none, for every partition is as its own parent is; the others are looked at by the repair's own eyes.
 */
export async function readSuspects(scene: Scene): Promise<ReadonlySet<number>> {
  const { rows } = await sql<{ root: number }>`
    with recursive ${memberTree(scene)},
    own as materialized (
      select m.root, m.oid, m.parent, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
             c.relreplident, c.reloptions, c.reltoastrelid
        from member m join pg_class c on c.oid = m.oid
       where m.parent is not null or c.relkind = 'p'
    ),
    copies as materialized (
      select o.root, o.parent, count(t.oid) filter (where t.tgparentid <> 0) as n, bool_or(t.tgenabled <> 'O') as is_odd
        from own o left join pg_trigger t on t.tgrelid = o.oid
       group by o.root, o.parent, o.oid
    ),
    -- Reading all of them once beats looking each up.
    index as materialized (
      select c.oid, c.reloptions from pg_class c where c.relkind in ('i', 'I')
    )
    select c.root from own c join own p on p.oid = c.parent
     where c.relowner <> p.relowner or c.relacl is not null and c.relacl is distinct from p.relacl
        or (c.relrowsecurity, c.relforcerowsecurity, c.relreplident)
           is distinct from (p.relrowsecurity, p.relforcerowsecurity, p.relreplident)
        or p.relreplident = 'i'
    union
    -- A partitioned table has none itself: the newest leaf is the model.
    select o.root from own o where o.relkind <> 'p' group by o.root
    having count(distinct coalesce(o.reloptions::text, '')) > 1
    union
    select o.root from own o join pg_class t on t.oid = o.reltoastrelid and t.reloptions is not null
    union
    select o.root from own o join pg_policy y on y.polrelid = o.oid
    union
    -- A statistics target that is not set is -1 up to 16, and null from 17 on.
    select o.root from pg_attribute a join own o on o.oid = a.attrelid
     where a.attnum > 0 and (a.attstattarget >= 0 or a.attacl is not null)
    union
    select c.root from copies c group by c.root
    having bool_or(c.is_odd) or min(c.n) filter (where c.parent is not null) <> max(c.n)
    union
    select o.root
      from pg_inherits h
      join index c on c.oid = h.inhrelid
      join index p on p.oid = h.inhparent
      join pg_index x on x.indexrelid = h.inhrelid
      join own o on o.oid = x.indrelid
     where c.reloptions is distinct from p.reloptions`.execute(scene.session.db);
  return new Set(rows.map(({ root }) => root));
}
