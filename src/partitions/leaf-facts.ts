import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { type PublicationMember, readMemberships } from './publications.ts';

/** What a table is to a parent. `elsewhere`: a partition of another table. */
export type LeafState = 'attached' | 'detach_pending' | 'detached' | 'elsewhere';

/** What is to be known of a leaf before it is detached or attached; read for those alone that are concerned. */
export interface LeafFacts {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Schema-qualified and quoted. */
  readonly relation: string;
  readonly isForeign: boolean;
  readonly state: LeafState;
  /** As PostgreSQL prints it in UTC; null for what is no partition. */
  readonly bound: string | null;
  /** The names of its constraints of every kind. */
  readonly constraints: readonly string[];
  /** Its exclusion constraints that are the same as one of the parent's. */
  readonly exclusions: readonly string[];
  /** Its own partitions, at every depth. */
  readonly below: readonly { readonly schema: string; readonly name: string }[];
  readonly publications: readonly PublicationMember[];
}

type FactsRow = Omit<LeafFacts, 'relation' | 'publications'>;

/** Reads the facts of leaves by their OIDs: two queries, however many there are; those that are gone are left out. */
export async function readLeafFacts(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<ReadonlyMap<number, LeafFacts>> {
  if (oids.length === 0) return new Map();
  const { rows } = await sql<FactsRow>`
    with recursive tree (root, oid) as (
      select o, o from unnest(${`{${oids.join()}}`}::oid[]) o
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
    ),
    below as (
      select t.root, jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname) order by n.nspname, c.relname) as names
        from tree t join pg_class c on c.oid = t.oid join pg_namespace n on n.oid = c.relnamespace
       where t.oid <> t.root
       group by t.root
    ),
    named as (
      select k.conrelid, jsonb_agg(k.conname) as names
        from pg_constraint k where k.conrelid = any (${`{${oids.join()}}`}::oid[]) group by k.conrelid
    ),
    exclusion as (
      select k.conrelid, jsonb_agg(k.conname order by k.conname) as names
        from pg_constraint k
        join pg_constraint p on p.conrelid = ${String(table.oid)}::oid and p.contype = 'x'
         and pg_get_constraintdef(p.oid) = pg_get_constraintdef(k.oid)
       where k.contype = 'x' and k.conrelid = any (${`{${oids.join()}}`}::oid[])
       group by k.conrelid
    )
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind = 'f' as "isForeign",
           case when i.inhrelid is null then case when c.relispartition then 'elsewhere' else 'detached' end
                when i.inhdetachpending then 'detach_pending' else 'attached' end as state,
           pg_get_expr(c.relpartbound, 0) as bound,
           coalesce(k.names, '[]') as constraints, coalesce(x.names, '[]') as exclusions, coalesce(b.names, '[]') as below
      from unnest(${`{${oids.join()}}`}::oid[]) o
      join pg_class c on c.oid = o
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = ${String(table.oid)}::oid
      left join below b on b.root = c.oid
      left join exclusion x on x.conrelid = c.oid
      left join named k on k.conrelid = c.oid`.execute(session.db);
  const publications = await readMemberships(session, oids);
  return new Map(
    rows.map((row) => [
      row.oid,
      {
        ...row,
        relation: qualifiedName(row.schema, row.name),
        publications: publications.get(row.oid) ?? [],
      },
    ]),
  );
}

/** Reads what a leaf is to its parent just now; null when the OID is gone, or has another name. */
export async function readLeafState(
  session: Session,
  table: PartitionedTable,
  { oid, schema, name }: Pick<LeafFacts, 'oid' | 'schema' | 'name'>,
): Promise<LeafState | null> {
  const { rows } = await sql<{ state: LeafState }>`
    select case when i.inhrelid is null then case when c.relispartition then 'elsewhere' else 'detached' end
                when i.inhdetachpending then 'detach_pending' else 'attached' end as state
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = ${String(table.oid)}::oid
     where c.oid = ${String(oid)}::oid and n.nspname = ${schema} and c.relname = ${name}`.execute(session.db);
  return rows[0]?.state ?? null;
}
