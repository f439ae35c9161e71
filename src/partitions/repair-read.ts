import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { Member } from './drift.ts';
import type { Grant } from './leaf-template.ts';

/** The OIDs of tables, as a parameter of a query. */
export function oidList(oids: readonly number[]): string {
  return `{${oids.join()}}`;
}

type MemberRow = Omit<Member, 'qualified' | 'parentQualified' | 'kind'> & {
  readonly relkind: string;
  readonly parentSchema: string;
  readonly parentName: string;
};

const KINDS: Readonly<Record<string, Member['kind']>> = { p: 'partitioned', f: 'foreign' };

/** Reads all partitions of a table, at any depth, but those that are being detached; waits for no lock. */
export async function readMembers(session: Session, table: PartitionedTable): Promise<readonly Member[]> {
  const { rows } = await sql<MemberRow>`
    with recursive member (oid, parent) as (
      select i.inhrelid, i.inhparent from pg_inherits i
       where i.inhparent = ${String(table.oid)}::oid and not i.inhdetachpending
      union all
      select i.inhrelid, i.inhparent from member m
        join pg_inherits i on i.inhparent = m.oid and not i.inhdetachpending
    )
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as relkind,
           m.parent as "parentOid", pn.nspname::text as "parentSchema", p.relname::text as "parentName",
           pg_get_userbyid(c.relowner)::text as owner, c.relrowsecurity as "rowSecurity",
           c.relforcerowsecurity as "forceRowSecurity", c.relreplident::text as "replicaIdentity",
           c.relacl is not null as "hasGrants",
           coalesce(to_jsonb(c.reloptions), '[]') as options, coalesce(to_jsonb(t.reloptions), '[]') as "toastOptions",
           t.oid is not null as "hasToast"
      from member m
      join pg_class c on c.oid = m.oid
      join pg_namespace n on n.oid = c.relnamespace
      join pg_class p on p.oid = m.parent
      join pg_namespace pn on pn.oid = p.relnamespace
      left join pg_class t on t.oid = c.reltoastrelid`.execute(session.db);
  return rows.map(({ relkind, parentSchema, parentName, ...row }) => ({
    ...row,
    qualified: qualifiedName(row.schema, row.name),
    parentQualified: qualifiedName(parentSchema, parentName),
    kind: KINDS[relkind] ?? 'plain',
  }));
}

/** A privilege on a partition, as it is. */
export interface FoundGrant extends Grant {
  readonly oid: number;
  /** The grantee owns the partition. */
  readonly toOwner: boolean;
  readonly grantor: string;
  /** The owner granted it, and so may revoke it. */
  readonly byOwner: boolean;
}

/** Reads the privileges on those partitions whose lists of privileges are not word for word their parent's. */
export async function readGrantsFound(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly FoundGrant[]> {
  const { rows } = await sql<FoundGrant>`
    with parent as (
      select p.*, exists (select from pg_attribute a where a.attrelid = p.oid and a.attacl is not null
                             and not a.attisdropped) as has_columns
        from pg_class p where p.oid = ${String(table.oid)}::oid),
    differing as (
      select c.* from parent p join pg_class c on c.oid = any (${oidList(oids)}::oid[])
       where p.has_columns or c.relowner <> p.relowner or c.relacl is distinct from p.relacl
          or exists (select from pg_attribute a where a.attrelid = c.oid and a.attacl is not null and not a.attisdropped)),
    lists as (
      select d.oid, d.relowner, null::name as column, coalesce(d.relacl, acldefault('r', d.relowner)) as acl
        from differing d
      union all
      select d.oid, d.relowner, a.attname, a.attacl
        from differing d join pg_attribute a on a.attrelid = d.oid and a.attacl is not null and not a.attisdropped)
    select l.oid, case when e.grantee <> 0 then pg_get_userbyid(e.grantee) end::text as grantee,
           e.privilege_type as privilege, e.is_grantable as grantable, l.column::text as column,
           e.grantee = l.relowner as "toOwner", pg_get_userbyid(e.grantor)::text as grantor,
           e.grantor = l.relowner as "byOwner"
      from lists l cross join lateral aclexplode(l.acl) e`.execute(session.db);
  return rows;
}

/** A column whose statistics target is not its parent's; -1 is the default of the server. */
export interface TargetFound {
  readonly oid: number;
  readonly column: string;
  readonly expected: number;
  readonly found: number;
}

/** Finds the columns whose statistics targets differ from the parent's. */
export async function readTargetsFound(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly TargetFound[]> {
  // Unset is -1 up to PostgreSQL 16, and null from 17 on.
  const { rows } = await sql<TargetFound>`
    select a.attrelid as oid, a.attname::text as column,
           coalesce(p.attstattarget, -1)::int4 as expected, coalesce(a.attstattarget, -1)::int4 as found
      from pg_attribute p
      join pg_attribute a on a.attname = p.attname and a.attrelid = any (${oidList(oids)}::oid[])
     where p.attrelid = ${String(table.oid)}::oid and p.attnum > 0 and not p.attisdropped and not a.attisdropped
       and coalesce(p.attstattarget, -1) <> coalesce(a.attstattarget, -1)
     order by p.attnum`.execute(session.db);
  return rows;
}
