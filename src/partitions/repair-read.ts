import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import type { Member } from './drift.ts';
import type { Grant } from './leaf-template.ts';
import type { ColumnLayout } from './node-tree.ts';

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

/** A policy as it is stored. */
export interface PolicyFound {
  readonly oid: number;
  readonly name: string;
  readonly permissive: boolean;
  readonly command: string;
  /** The OIDs of its roles in ascending order; 0 is PUBLIC. */
  readonly roles: readonly number[];
  readonly using: string | null;
  readonly check: string | null;
  readonly layout: ColumnLayout;
}

/** Reads the policies of tables, with their expressions as they are stored: deparsing them would lock the tables. */
export async function readPoliciesFound(
  session: Session,
  oids: readonly number[],
): Promise<readonly PolicyFound[]> {
  const { rows } = await sql<PolicyFound>`
    select o.polrelid as oid, o.polname::text as name, o.polpermissive as permissive, o.polcmd::text as command,
           (select jsonb_agg(r::int8 order by r) from unnest(o.polroles) r) as roles,
           o.polqual::text as "using", o.polwithcheck::text as "check",
           (select jsonb_object_agg(a.attnum, a.attname) from pg_attribute a
             where a.attrelid = o.polrelid and a.attnum > 0 and not a.attisdropped) as layout
      from pg_policy o
     where o.polrelid = any (${oidList(oids)}::oid[])
     order by o.polname`.execute(session.db);
  return rows;
}

/** A row trigger that is not on a partition as it is on the table. */
export interface TriggerFound {
  readonly oid: number;
  readonly name: string;
  /** tgenabled: `O`, `D`, `R` or `A`. */
  readonly expected: string;
  /** Null: it is missing. */
  readonly found: string | null;
  /** It enforces a foreign key: only a superuser may enable it. */
  readonly isForeignKey: boolean;
}

/** Finds the triggers that partitions lack, or that are enabled there otherwise than on the table. */
export async function readTriggersFound(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly TriggerFound[]> {
  // A partition's copy of a trigger leads to its parent's by tgparentid. 14 marks the copies internal; those of foreign keys
  // lead nowhere on 14, where a partitioned table has none itself: they are enabled when all is well.
  const { rows } = await sql<TriggerFound>`
    with recursive copy (root, oid, relation, enabled) as (
      select t.oid, t.oid, t.tgrelid, t.tgenabled from pg_trigger t
       where t.tgrelid = ${String(table.oid)}::oid and t.tgtype & 1 = 1
      union all
      select c.root, t.oid, t.tgrelid, t.tgenabled from copy c join pg_trigger t on t.tgparentid = c.oid
    )
    select m.oid, t.tgname::text as name, t.tgenabled::text as expected, c.enabled::text as found,
           false as "isForeignKey"
      from unnest(${oidList(oids)}::oid[]) m (oid)
      cross join (copy r join pg_trigger t on t.oid = r.oid and r.oid = r.root and not t.tgisinternal)
      left join copy c on c.root = r.root and c.relation = m.oid
     where c.enabled is distinct from t.tgenabled
    union all
    select t.tgrelid, t.tgname::text, coalesce(r.tgenabled, 'O')::text, t.tgenabled::text, true
      from pg_trigger t
      join pg_constraint k on k.oid = t.tgconstraint and k.contype = 'f'
      left join (copy c join pg_trigger r on r.oid = c.root) on c.oid = t.oid
     where t.tgrelid = any (${oidList(oids)}::oid[]) and t.tgisinternal
       and t.tgenabled <> coalesce(r.tgenabled, 'O')
     order by 2`.execute(session.db);
  return rows;
}
