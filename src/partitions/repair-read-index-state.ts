import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { oidList } from './repair-read.ts';
import { ATTACHED, type IndexName } from './repair-read-indexes.ts';

/** An attached index of a partition that has other storage parameters than the newest leaf's. */
export interface IndexOptions extends IndexName {
  readonly oid: number;
  readonly root: number;
  readonly options: readonly string[];
  /** Those of the newest leaf's index, then those of the table's own. */
  readonly wanted: readonly string[];
}

/** A partition whose replica identity is not its parent's. */
export interface IdentityFound {
  readonly oid: number;
  /** Its valid attached index that corresponds to the table's identity, if there is one. */
  readonly index: string | null;
}

/** Finds attached indexes whose storage parameters differ from those of the newest leaf's and of the table's own. */
export async function readIndexOptions(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
  model: number,
): Promise<readonly IndexOptions[]> {
  const { rows } = await sql<IndexOptions>`
    with recursive ${ATTACHED(table)},
    wanted (root, options) as (
      select r.oid, coalesce(li.reloptions, '{}') || coalesce(ri.reloptions, '{}')
        from attached r
        join pg_class ri on ri.oid = r.oid
        left join (attached l join pg_class li on li.oid = l.oid) on l.root = r.oid and l.relation = ${String(model)}::oid
       where r.oid = r.root
    )
    select a.relation as oid, a.root, n.nspname::text as schema, i.relname::text as name,
           coalesce(to_jsonb(i.reloptions), '[]') as options, to_jsonb(w.options) as wanted
      from attached a
      join wanted w on w.root = a.root
      join pg_class i on i.oid = a.oid and i.relkind = 'i'
      join pg_namespace n on n.oid = i.relnamespace
     where a.relation = any (${oidList(oids)}::oid[])
       and not w.options <@ coalesce(i.reloptions, '{}')
     order by i.relname`.execute(session.db);
  return rows;
}

/** Finds the partitions whose replica identity differs from the table's. */
export async function readIdentitiesFound(
  session: Session,
  table: PartitionedTable,
  oids: readonly number[],
): Promise<readonly IdentityFound[]> {
  const { rows } = await sql<IdentityFound>`
    with recursive ${ATTACHED(table)}
    select c.oid, case when x.indisvalid then i.relname::text end as index
      from pg_class p
      join pg_class c on c.oid = any (${oidList(oids)}::oid[])
      left join pg_index r on r.indrelid = p.oid and r.indisreplident and p.relreplident = 'i'
      left join attached a on a.root = r.indexrelid and a.relation = c.oid
      left join pg_index x on x.indexrelid = a.oid
      left join pg_class i on i.oid = a.oid
     where p.oid = ${String(table.oid)}::oid
       and (c.relreplident <> p.relreplident
            or p.relreplident = 'i' and r.indexrelid is not null and x.indisreplident is distinct from true)`.execute(
    session.db,
  );
  return rows;
}

/** Tells which of the indexes are not valid. */
export async function readStillInvalid(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlySet<number>> {
  const { rows } = await sql<{ oid: number }>`
    select x.indexrelid as oid from pg_index x
     where x.indexrelid = any (${oidList(oids)}::oid[]) and not x.indisvalid`.execute(session.db);
  return new Set(rows.map(({ oid }) => oid));
}

/** An index by its name and its table; by its own OID, too, if it was there when this was planned. */
export interface IndexOf extends IndexName {
  readonly relation: number;
  readonly oid: number | null;
}

/** Whether an index is there, whether it is not valid, and who may be building it. */
interface Building {
  readonly exists: boolean;
  readonly invalid: boolean;
  /** The pid of somebody who holds a lock on its table as builders do; null: nobody. */
  readonly builder: number | null;
}

/** Looks whether an index is invalid since its build was interrupted, or since it is being built. */
export async function readBuilding(session: Session, index: IndexOf): Promise<Building> {
  const isIt = sql`n.nspname = ${index.schema} and i.relname = ${index.name}
    and x.indrelid = ${String(index.relation)}::oid and i.oid = coalesce(${oidOrNull(index)}::oid, i.oid)`;
  // CREATE and REINDEX INDEX CONCURRENTLY hold SHARE UPDATE EXCLUSIVE on the table from their beginning to their end (14 to 18).
  // The lock is looked for first: a build that is not there any more has made its index valid by the second look.
  const locks = await sql<{ pid: number }>`
    select l.pid
      from pg_locks l
      join pg_index x on x.indrelid = l.relation
      join pg_class i on i.oid = x.indexrelid
      join pg_namespace n on n.oid = i.relnamespace
     where ${isIt}
       and l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock' and l.granted
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
       and l.pid <> pg_backend_pid()`.execute(session.db);
  const { rows } = await sql<{ invalid: boolean }>`
    select not x.indisvalid as invalid
      from pg_index x join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
     where ${isIt}`.execute(session.db);
  const [row] = rows;
  return { exists: row !== undefined, invalid: row?.invalid === true, builder: locks.rows[0]?.pid ?? null };
}

function oidOrNull({ oid }: IndexOf): string | null {
  return oid === null ? null : String(oid);
}

/** Reads all names that an index could collide with in the given schemas. */
export async function readNamesIn(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, Set<string>>> {
  const taken = new Map(schemas.map((schema) => [schema, new Set<string>()]));
  if (schemas.length === 0) return taken;
  // A constraint's name has to be free among the table's own, which are its index's name here.
  const { rows } = await sql<{ schema: string; name: string }>`
    select n.nspname::text as schema, c.relname::text as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in (${sql.join(schemas)})`.execute(session.db);
  for (const { schema, name } of rows) taken.get(schema)?.add(name);
  return taken;
}
