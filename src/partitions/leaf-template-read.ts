import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import type { Grant, IndexTemplate, LeafTemplate } from './leaf-template.ts';
import { attachLocks } from './locks.ts';
import type { Leaf } from './read.ts';
import { readRelations } from './relations.ts';

/**
 * Reads what the leaves of a table should have: from the parent, and what a parent cannot have from its newest leaf.
 *
 * A fixed number of queries; takes ACCESS SHARE on the parent's indexes (pg_get_indexdef).
 */
export async function readLeafTemplate(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Leaf[],
): Promise<LeafTemplate> {
  const newest = newestLeaf(leaves);
  const parent = String(table.oid);
  const model = String(newest?.oid ?? 0);
  const facts = await readTableFacts(session, parent, model);
  return {
    ...facts,
    indexes: await readIndexes(session, parent, model),
    ...(await readGrants(session, parent)),
    attachLocks: attachLocks(
      { table, relations: await readRelations(session, table), versionNum: session.server.versionNum },
      null,
    ),
  };
}

/** Finds the leaf that new ones take after in what a parent cannot hold. */
export function newestLeaf(leaves: readonly Leaf[]): Leaf | undefined {
  return leaves.filter(({ state, isPlain }) => isPlain && state === 'attached').at(-1);
}

type TableFacts = Omit<LeafTemplate, 'indexes' | 'initialGrants' | 'desiredGrants' | 'attachLocks'>;

async function readTableFacts(session: Session, parent: string, model: string): Promise<TableFacts> {
  const { rows } = await sql<{ facts: TableFacts }>`
    select jsonb_build_object(
      'owner', pg_get_userbyid(p.relowner),
      'creator', current_user,
      'columns', (select jsonb_agg(a.attname) from pg_attribute a where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped),
      'comment', obj_description(p.oid, 'pg_class'),
      'replicaIdentity', p.relreplident,
      'rowSecurity', p.relrowsecurity,
      'forceRowSecurity', p.relforcerowsecurity,
      'tablespace', (select t.spcname from pg_tablespace t where t.oid = p.reltablespace),
      'accessMethod', (select a.amname from pg_am a where a.oid = coalesce(nullif(p.relam, 0), m.relam)
                          and a.amname <> current_setting('default_table_access_method')),
      'unlogged', coalesce(m.relpersistence = 'u', false),
      'options', coalesce(to_jsonb(m.reloptions), '[]'),
      'toastOptions', coalesce((select to_jsonb(t.reloptions) from pg_class t where t.oid = m.reltoastrelid), '[]'),
      'statisticsTargets', coalesce((
        select jsonb_agg(jsonb_build_object('column', a.attname, 'target', a.attstattarget) order by a.attnum)
          from pg_attribute a
         where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attstattarget >= 0), '[]'),
      'policies', coalesce((
        select jsonb_agg(jsonb_build_object(
                 'name', o.polname, 'permissive', o.polpermissive, 'command', o.polcmd,
                 'roles', (select jsonb_agg(case when r = 0 then null else pg_get_userbyid(r) end) from unnest(o.polroles) r),
                 'using', pg_get_expr(o.polqual, o.polrelid),
                 'check', pg_get_expr(o.polwithcheck, o.polrelid),
                 'reads', coalesce((
                   select jsonb_agg(distinct format('%I.%I', dn.nspname, dc.relname))
                     from pg_depend d join pg_class dc on dc.oid = d.refobjid join pg_namespace dn on dn.oid = dc.relnamespace
                    where d.classid = 'pg_policy'::regclass and d.objid = o.oid and d.refclassid = 'pg_class'::regclass
                      and d.refobjid <> o.polrelid), '[]')) order by o.polname)
          from pg_policy o where o.polrelid = p.oid), '[]')) as facts
      from pg_class p
      left join pg_class m on m.oid = ${model}::oid
     where p.oid = ${parent}::oid`.execute(session.db);
  return (rows[0] as { facts: TableFacts }).facts;
}

async function readIndexes(
  session: Session,
  parent: string,
  model: string,
): Promise<readonly IndexTemplate[]> {
  // The definition is cut behind a head whose text is known, so that no name in it can be mistaken for syntax.
  // Exclusion constraints (17 and 18) are left to ATTACH, which takes none that is there (CompareIndexInfo) but makes another.
  const { rows } = await sql<{ index: IndexTemplate }>`
    select jsonb_build_object(
      'oid', i.oid::int8,
      'name', i.relname,
      'columns', (select jsonb_agg(coalesce(a.attname, 'expr') order by k.position)
                    from unnest(x.indkey) with ordinality k (attnum, position)
                    left join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum and k.attnum > 0
                   where k.position <= x.indnkeyatts),
      'definition', substr(pg_get_indexdef(x.indexrelid), 1 + length(format('CREATE %sINDEX %I ON ONLY %I.%I USING ',
                      case when x.indisunique then 'UNIQUE ' else '' end, i.relname, n.nspname, p.relname))),
      'predicate', pg_get_expr(x.indpred, x.indrelid),
      'unique', x.indisunique,
      'constraintType', c.contype,
      'constraintDefinition', pg_get_constraintdef(c.oid),
      'constraintTiming', case when c.condeferred then ' deferrable initially deferred'
                               when c.condeferrable then ' deferrable' else '' end,
      'tablespace', (select t.spcname from pg_tablespace t where t.oid = i.reltablespace),
      'isReplicaIdentity', x.indisreplident,
      'options', coalesce((
        select jsonb_agg(o) from (
          -- Of the parent, where pg_get_constraintdef leaves them out; then of the newest leaf, which may differ.
          select o from unnest(i.reloptions) o where c.oid is not null
          union all
          select o from pg_inherits h
            join pg_index lx on lx.indexrelid = h.inhrelid and lx.indrelid = ${model}::oid
            join pg_class li on li.oid = lx.indexrelid
            cross join unnest(li.reloptions) o
           where h.inhparent = i.oid and (i.reloptions is null or o <> all (i.reloptions))) s), '[]'),
      'comment', obj_description(i.oid, 'pg_class')) as index
      from pg_index x
      join pg_class i on i.oid = x.indexrelid
      join pg_class p on p.oid = x.indrelid
      join pg_namespace n on n.oid = p.relnamespace
      left join pg_constraint c on c.conindid = x.indexrelid and c.conrelid = x.indrelid and c.contype in ('p', 'u')
     where x.indrelid = ${parent}::oid and x.indislive and not x.indisexclusion
     order by x.indisprimary desc, i.relname`.execute(session.db);
  return rows.map(({ index }) => index);
}

async function readGrants(
  session: Session,
  parent: string,
): Promise<Pick<LeafTemplate, 'initialGrants' | 'desiredGrants'>> {
  // A global entry of pg_default_acl replaces the built-in default, one for the schema adds to it (documentation of the catalog).
  // ALTER TABLE … OWNER TO turns the creator's own privileges into the new owner's.
  const { rows } = await sql<Grant & { which: 'initial' | 'desired' }>`
    with parent as (select c.*, (select r.oid from pg_roles r where r.rolname = current_user) as creator
                      from pg_class c where c.oid = ${parent}::oid),
    lists as (
      select 'desired' as which, null::name as column, coalesce(p.relacl, acldefault('r', p.relowner)) as acl from parent p
      union all
      select 'desired', a.attname, a.attacl from parent p
        join pg_attribute a on a.attrelid = p.oid and a.attacl is not null and not a.attisdropped
      union all
      select 'initial', null, coalesce((select d.defaclacl from pg_default_acl d where d.defaclrole = p.creator
                and d.defaclnamespace = 0 and d.defaclobjtype = 'r'), acldefault('r', p.creator)) from parent p
      union all
      select 'initial', null, d.defaclacl from parent p join pg_default_acl d on d.defaclrole = p.creator
         and d.defaclnamespace = p.relnamespace and d.defaclobjtype = 'r'
    )
    select distinct l.which,
           case when e.grantee = 0 then null
                when l.which = 'initial' and e.grantee = p.creator then pg_get_userbyid(p.relowner)
                else pg_get_userbyid(e.grantee) end::text as grantee,
           e.privilege_type as privilege, e.is_grantable as grantable, l.column::text as column
      from lists l cross join parent p cross join lateral aclexplode(l.acl) e
     order by 1, 5, 2, 3`.execute(session.db);
  const of = (which: string): readonly Grant[] => rows.filter((row) => row.which === which);
  return { initialGrants: of('initial'), desiredGrants: of('desired') };
}
