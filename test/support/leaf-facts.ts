import type { Sql } from 'postgres';

/** All that the catalog says of one table and what hangs on it; its own name is written `<leaf>`. */
export type TableFacts = Readonly<Record<string, unknown>> & {
  readonly columns: readonly Readonly<Record<string, unknown>>[];
  readonly indexes: readonly Readonly<Record<string, unknown>>[];
  readonly constraints: readonly Readonly<Record<string, unknown>>[];
  readonly policies: readonly Readonly<Record<string, unknown>>[];
  readonly triggers: readonly Readonly<Record<string, unknown>>[];
  readonly statistics: readonly string[];
};

/** Reads everything that two tables which are alike have in common; `relation` is spelled as for regclass. */
export async function tableFacts(sql: Sql, relation: string): Promise<TableFacts> {
  // What is new in a version is read through jsonb, so that the older ones need not know it.
  const [row] = await sql<{ facts: TableFacts; name: string }[]>`
    select c.relname as name, jsonb_build_object(
      'kind', c.relkind, 'persistence', c.relpersistence, 'owner', pg_get_userbyid(c.relowner),
      'bound', pg_get_expr(c.relpartbound, c.oid), 'options', c.reloptions,
      'toastOptions', (select t.reloptions from pg_class t where t.oid = c.reltoastrelid),
      'tablespace', (select t.spcname from pg_tablespace t where t.oid = c.reltablespace),
      'accessMethod', (select a.amname from pg_am a where a.oid = c.relam),
      'replicaIdentity', c.relreplident, 'rowSecurity', c.relrowsecurity, 'forced', c.relforcerowsecurity,
      'comment', obj_description(c.oid, 'pg_class'),
      'acl', (select jsonb_agg(x order by x) from (
        select e.grantee::regrole || ':' || e.privilege_type || ':' || e.is_grantable as x
          from aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e) s),
      'columns', (
        select jsonb_agg(jsonb_build_object(
                 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
                 'collation', a.attcollation::regcollation, 'identity', a.attidentity, 'generated', a.attgenerated,
                 'storage', a.attstorage, 'compression', a.attcompression,
                 'statistics', nullif(a.attstattarget, -1),
                 'default', (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
                              where d.adrelid = c.oid and d.adnum = a.attnum),
                 'comment', col_description(c.oid, a.attnum),
                 'acl', (select jsonb_agg(e.grantee::regrole || ':' || e.privilege_type || ':' || e.is_grantable
                           order by 1) from aclexplode(a.attacl) e)) order by a.attname)
          from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
      'constraints', coalesce((
        select jsonb_agg(jsonb_build_object(
                 'type', o.contype, 'definition', pg_get_constraintdef(o.oid), 'valid', o.convalidated,
                 'enforced', to_jsonb(o) -> 'conenforced', 'inherited', o.coninhcount + (o.conparentid <> 0)::int,
                 'name', case when o.contype in ('c', 'n', 'f') then o.conname end)
                 order by o.contype, pg_get_constraintdef(o.oid), o.conname)
          from pg_constraint o where o.conrelid = c.oid and o.contype <> 't'), '[]'),
      'indexes', coalesce((
        select jsonb_agg(x order by x ->> 'parent') from (
          select jsonb_build_object(
                   'parent', (select p.relname from pg_inherits h join pg_class p on p.oid = h.inhparent
                               where h.inhrelid = i.oid),
                   'definition', replace(pg_get_indexdef(i.oid), format('%I', i.relname), '<index>'),
                   'options', i.reloptions, 'comment', obj_description(i.oid, 'pg_class'),
                   'tablespace', (select t.spcname from pg_tablespace t where t.oid = i.reltablespace),
                   'valid', n.indisvalid, 'replicaIdentity', n.indisreplident, 'unique', n.indisunique) as x
            from pg_index n join pg_class i on i.oid = n.indexrelid where n.indrelid = c.oid) s), '[]'),
      'triggers', coalesce((
        select jsonb_agg(jsonb_build_object('name', t.tgname, 'enabled', t.tgenabled,
                 'definition', pg_get_triggerdef(t.oid), 'cloned', t.tgparentid <> 0) order by t.tgname)
          from pg_trigger t where t.tgrelid = c.oid and t.tgconstraint = 0), '[]'),
      'policies', coalesce((
        select jsonb_agg(jsonb_build_object('name', o.polname, 'permissive', o.polpermissive, 'command', o.polcmd,
                 'roles', (select jsonb_agg(r::regrole order by r) from unnest(o.polroles) r),
                 'using', pg_get_expr(o.polqual, c.oid), 'check', pg_get_expr(o.polwithcheck, c.oid)) order by o.polname)
          from pg_policy o where o.polrelid = c.oid), '[]'),
      'statistics', coalesce((
        select jsonb_agg(regexp_replace(pg_get_statisticsobjdef(s.oid), '^CREATE STATISTICS [^ ]+ ', '') order by 1)
          from pg_statistic_ext s where s.stxrelid = c.oid), '[]')) as facts
      from pg_class c where c.oid = ${relation}::regclass`;
  if (row === undefined) throw new Error(`There is no ${relation}.`);
  const quoted = JSON.stringify(row.facts);
  const name = JSON.stringify(row.name).slice(1, -1);
  return JSON.parse(quoted.replaceAll(name, '<leaf>')) as TableFacts;
}

/** Reads the facts of every table outside the tool's own schema, by name. */
export async function allTables(sql: Sql): Promise<Readonly<Record<string, TableFacts>>> {
  const tables = await sql<{ relation: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as relation
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'sensordb')
       and n.nspname !~ '^pg_' order by 1`;
  const facts: Record<string, TableFacts> = {};
  for (const { relation } of tables) facts[relation] = await tableFacts(sql, relation);
  return facts;
}
