import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import type { ColumnLayout } from './node-tree.ts';
import { oidList } from './repair-read.ts';

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
  /** It logs what changes for the aggregates. */
  readonly isLog: boolean;
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
           false as "isForeignKey", f.proname = 'log_change' and n.nspname = 'sensordb' as "isLog"
      from unnest(${oidList(oids)}::oid[]) m (oid)
      cross join (copy r join pg_trigger t on t.oid = r.oid and r.oid = r.root and not t.tgisinternal)
      join pg_proc f on f.oid = t.tgfoid
      join pg_namespace n on n.oid = f.pronamespace
      left join copy c on c.root = r.root and c.relation = m.oid
     where c.enabled is distinct from t.tgenabled
    union all
    select t.tgrelid, t.tgname::text, coalesce(r.tgenabled, 'O')::text, t.tgenabled::text, true, false
      from pg_trigger t
      join pg_constraint k on k.oid = t.tgconstraint and k.contype = 'f'
      left join (copy c join pg_trigger r on r.oid = c.root) on c.oid = t.oid
     where t.tgrelid = any (${oidList(oids)}::oid[]) and t.tgisinternal
       and t.tgenabled <> coalesce(r.tgenabled, 'O')
     order by 2`.execute(session.db);
  return rows;
}
