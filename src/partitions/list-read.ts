import { sql } from 'kysely';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { inTransaction } from '../db/transaction.ts';
import type { DefaultPartition } from './read.ts';

/** Rows and size of one partition, with all that lies below it. */
export interface PartitionStatistics {
  readonly oid: number;
  /** The planner's estimate; null when something below it was never analyzed. */
  readonly rowsEstimate: number | null;
  /** With indexes and TOAST; null while somebody holds or awaits ACCESS EXCLUSIVE on any of it. */
  readonly bytes: number | null;
}

/** No look at sizes or rows waits longer than this for a lock that came up in between, in milliseconds. */
const LOCK_TIMEOUT_MS = 50;
const TRIES = 3;

/** What takes a lock may meet one that came up since it was seen to be free: it is tried again, then given up. */
async function briefly<T>(session: Session, work: () => Promise<T>): Promise<T | null> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    try {
      return await inTransaction(session, { access: 'read only', lockTimeoutMs: LOCK_TIMEOUT_MS }, work);
    } catch (thrown) {
      if (sqlstateOf(thrown) !== SQLSTATE.lockNotAvailable) throw thrown;
    }
  }
  return null;
}

/**
 * Reads the sizes and row estimates of tables by their OIDs: one query, however many there are.
 *
 * pg_total_relation_size opens the table, its indexes and its TOAST table, and would wait for ACCESS EXCLUSIVE on any of
 * them (measured on 15 and 18): what shows such a lock in pg_locks is left out.
 */
export async function readStatistics(
  session: Session,
  oids: readonly number[],
): Promise<readonly PartitionStatistics[]> {
  return (
    (await briefly(session, () => statisticsQuery(session, oids, true))) ??
    (await inTransaction(session, { access: 'read only', lockTimeoutMs: LOCK_TIMEOUT_MS }, () =>
      statisticsQuery(session, oids, false),
    ))
  );
}

async function statisticsQuery(
  session: Session,
  oids: readonly number[],
  withSizes: boolean,
): Promise<readonly PartitionStatistics[]> {
  // As text, since float8 is sent with as many digits as the role's extra_float_digits allows.
  const { rows } = await sql<{ oid: number; rows: string | null; bytes: string | null }>`
    with recursive tree (root, oid) as (
      select o, o from unnest(${`{${oids.join()}}`}::oid[]) o
      union all
      select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid
    ),
    locked as materialized (
      select distinct l.relation as oid
        from pg_locks l
       where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
         and l.database = (select d.oid from pg_database d where d.datname = current_database())
         and l.pid is distinct from pg_backend_pid()
    ),
    blocked as materialized (
      select k.oid from locked k
      union
      select x.indrelid from locked k join pg_index x on x.indexrelid = k.oid
    ),
    leaf as materialized (
      select t.root, c.oid, c.reltuples,
             ${withSizes}::bool and b.oid is null and tb.oid is null as measurable
        from tree t
        join pg_class c on c.oid = t.oid and c.relkind <> 'p'
        left join blocked b on b.oid = c.oid
        left join blocked tb on tb.oid = c.reltoastrelid and c.reltoastrelid <> 0
    )
    select t.oid,
           case when coalesce(bool_and(l.reltuples >= 0), true)
                then coalesce(sum(l.reltuples::float8::numeric), 0)::text end as rows,
           case when coalesce(bool_and(l.measurable), true)
                then coalesce(sum(case when l.measurable then pg_total_relation_size(l.oid) end), 0)::text end as bytes
      from tree t
      left join leaf l on l.root = t.oid
     where t.oid = t.root
     group by t.oid`.execute(session.db);
  return rows.map(({ oid, rows: estimate, bytes }) => ({
    oid,
    rowsEstimate: estimate === null ? null : Number(estimate),
    bytes: bytes === null ? null : Number(bytes),
  }));
}

/** How many rows DEFAULT holds; null rows: it could not be counted now. */
export interface DefaultCount {
  readonly rows: number | null;
  readonly exact: boolean;
  readonly problem: string | null;
}

/** Counting stops here: past it the answer is "very many", and the point is made. */
export const MOST_DEFAULT_ROWS = 100_001;

/** Counts the rows of DEFAULT, up to 100,001; waits for no lock. */
export async function countDefaultRows(
  session: Session,
  defaultPartition: DefaultPartition,
): Promise<DefaultCount> {
  const { schema, name } = defaultPartition;
  try {
    const count = await briefly(session, async () => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int4 as count
          from (select from ${sql.id(schema, name)} limit ${sql.lit(MOST_DEFAULT_ROWS)}) r`.execute(
        session.db,
      );
      return rows[0]?.count ?? 0;
    });
    if (count === null)
      return { rows: null, exact: false, problem: `${name} is locked: its rows were not counted.` };
    return { rows: count, exact: count < MOST_DEFAULT_ROWS, problem: null };
  } catch (thrown) {
    if (sqlstateOf(thrown) !== SQLSTATE.insufficientPrivilege) throw thrown;
    const problem = `Role ${session.server.user} may not read ${name}: its rows were not counted.`;
    return { rows: null, exact: false, problem };
  }
}
