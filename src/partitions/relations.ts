import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';

/** A table at the other end of a foreign key, with the tables below it. */
export interface Related {
  /** Schema-qualified and quoted, as all names here. */
  readonly relation: string;
  readonly isPartitioned: boolean;
  /** Its partitions, at every depth. */
  readonly below: readonly string[];
}

/** What else partition DDL of a table locks; `locks.ts` says which lock that is. */
export interface Relations {
  readonly default: Related | null;
  /** Tables that foreign keys of the parent lead to; the parent itself among them, if it references itself. */
  readonly referenced: readonly Related[];
  /** Tables whose foreign keys lead to the parent; the parent itself among them, if it references itself. */
  readonly referencing: readonly Related[];
  /** Its changes are logged for the aggregates: what comes into a leaf at the last moment keeps it from being detached or dropped. */
  readonly isLogged: boolean;
  /** Of each leaf that was asked for, by its OID. */
  readonly leaves: ReadonlyMap<number, LeafRelations>;
}

/** What lies below a leaf, and which tables its own foreign keys lead to. */
interface LeafRelations {
  readonly below: readonly string[];
  readonly referenced: readonly Related[];
}

interface RelatedRow {
  /** The leaf, or 0 for the parent. */
  readonly owner: number;
  readonly kind: 'default' | 'referenced' | 'referencing' | 'logged' | 'leaf';
  readonly relation: string;
  readonly partitioned: boolean;
  readonly below: readonly string[];
}

/**
 * Reads which relations partition DDL of a table concerns, for leaves attached or detached: one query, whatever their
 * number; it waits for no lock.
 */
export async function readRelations(
  session: Session,
  table: PartitionedTable,
  leafOids: readonly number[] = [],
): Promise<Relations> {
  const parent = String(table.oid);
  const { rows } = await sql<RelatedRow>`
    with recursive root (owner, kind, oid) as (
      -- A key that leads to a partitioned table has entries for its partitions, too, below its own.
      select 0::oid, 'referenced', c.confrelid
        from pg_constraint c
        left join pg_constraint u on u.oid = c.conparentid
       where c.contype = 'f' and c.conrelid = ${parent}::oid and u.conrelid is distinct from c.conrelid
      union
      select 0::oid, 'referencing', c.conrelid
        from pg_constraint c
        join pg_class t on t.oid = c.conrelid and not t.relispartition
       where c.contype = 'f' and c.confrelid = ${parent}::oid
      union
      select 0::oid, 'default', p.partdefid from pg_partitioned_table p where p.partrelid = ${parent}::oid and p.partdefid <> 0
      union
      select 0::oid, 'logged', g.tgrelid
        from pg_trigger g
        join pg_proc p on p.oid = g.tgfoid and p.proname = 'log_change'
        join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'sensordb'
       where g.tgrelid = ${parent}::oid
      union
      select l.oid, 'leaf', l.oid from unnest(${`{${leafOids.join()}}`}::oid[]) l (oid)
      union
      -- What the key of a partitioned table leads to has entries for its partitions, too: their parent stands for them.
      select c.conrelid, 'referenced', c.confrelid
        from pg_constraint c
        join pg_class t on t.oid = c.confrelid and not t.relispartition
       where c.contype = 'f' and c.conrelid = any (${`{${leafOids.join()}}`}::oid[])
    ),
    tree (root, oid) as (
      select distinct r.oid, r.oid from root r
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
    ),
    below as (
      select t.root, jsonb_agg(format('%I.%I', n.nspname, c.relname) order by n.nspname, c.relname) as names
        from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
       where t.oid <> t.root
       group by t.root
    )
    select r.owner, r.kind, format('%I.%I', n.nspname, c.relname) as relation, c.relkind = 'p' as partitioned,
           coalesce(b.names, '[]') as below
      from root r
      join pg_class c on c.oid = r.oid
      join pg_namespace n on n.oid = c.relnamespace
      left join below b on b.root = r.oid
     order by r.owner, r.kind, 3`.execute(session.db);
  const grouped = new Map<string, Related[]>();
  for (const { owner, kind, relation, partitioned, below } of rows) {
    const group = grouped.get(`${owner} ${kind}`) ?? [];
    grouped.set(`${owner} ${kind}`, group);
    group.push({ relation, isPartitioned: partitioned, below });
  }
  const of = (owner: number, kind: RelatedRow['kind']) => grouped.get(`${owner} ${kind}`) ?? [];
  return {
    default: of(0, 'default')[0] ?? null,
    referenced: of(0, 'referenced'),
    referencing: of(0, 'referencing'),
    isLogged: of(0, 'logged').length > 0,
    leaves: new Map(
      leafOids.map((oid) => [
        oid,
        { below: of(oid, 'leaf')[0]?.below ?? [], referenced: of(oid, 'referenced') },
      ]),
    ),
  };
}
