import { sql } from 'kysely';
import { readDetach } from './detach-statement.ts';
import type { Scene } from './scene.ts';

/** A partition that is half detached. */
export interface HalfDetached {
  /** As SQL spells them. */
  readonly parent: string;
  readonly partition: string;
  /** A session whose statement is the detach. */
  readonly isRunning: boolean;
  /** Sessions that do with locks what a detach does, and whose statements the role may not see, or nobody can see whole. */
  readonly hiddenPids: readonly number[];
  readonly cutPids: readonly number[];
}

interface Row {
  readonly parent: string;
  readonly partition: string;
  readonly parentSchema: string;
  readonly parentName: string;
  readonly schema: string;
  readonly name: string;
  readonly sessions: readonly SessionRow[];
}

interface SessionRow {
  readonly pid: number;
  /** Null: the role may not see it. */
  readonly query: string | null;
  /** The server shows but the beginning of it (track_activity_query_size), or nothing (track_activities). */
  readonly isCut: boolean;
  readonly hasLock: boolean;
}

/** Finds the partitions at any depth of the tables in scope that are half detached, and who is at it: one query. */
export async function readHalfDetached(scene: Scene): Promise<readonly HalfDetached[]> {
  const rows = await readRows(scene);
  return rows.map(({ sessions, ...row }) => {
    const isTwin = rows.some(
      (other) =>
        other.partition !== row.partition && other.name === row.name && other.parentName === row.parentName,
    );
    return {
      parent: row.parent,
      partition: row.partition,
      isRunning: sessions.some(
        ({ query, hasLock }) => query !== null && names(query, row) && (hasLock || !isTwin),
      ),
      hiddenPids: sessions.filter(({ query, hasLock }) => query === null && hasLock).map(({ pid }) => pid),
      cutPids: sessions
        .filter(
          ({ query, isCut, hasLock }) => isCut && hasLock && query !== null && readDetach(query) === null,
        )
        .map(({ pid }) => pid),
    };
  });
}

function names(query: string, row: Omit<Row, 'sessions'>): boolean {
  const { parentSchema, parentName, schema, name } = row;
  const detach = readDetach(query);
  return (
    detach !== null &&
    detach.partition.name === name &&
    detach.parent.name === parentName &&
    (detach.partition.schema ?? schema) === schema &&
    (detach.parent.schema ?? parentSchema) === parentSchema
  );
}

async function readRows({ session, table }: Scene): Promise<readonly Row[]> {
  const top = table === null ? sql`null` : sql`${String(table.oid)}`;
  // Between its two transactions a detach holds no lock at all, and waits for the transactions that have one on the parent, one after
  // the other (14 to 18): by their virtual transaction, or if they are prepared by their own. After that it asks for its locks again.
  const { rows } = await sql<Row>`
    with recursive below (oid) as (
      select i.inhrelid from pg_inherits i where i.inhparent = ${top}::oid
      union
      select i.inhrelid from below b join pg_inherits i on i.inhparent = b.oid
    ),
    pending as materialized (
      select i.inhrelid as oid, i.inhparent as parent from pg_inherits i
       where i.inhdetachpending and (${top}::oid is null or i.inhrelid in (select b.oid from below b))
    ),
    lock as materialized (
      select l.* from pg_locks l where exists (select from pending) and l.pid is distinct from pg_backend_pid()
    ),
    taken as materialized (
      select p.oid as pending, l.relation, l.virtualtransaction, l.mode, l.pid, l.granted
        from pending p join lock l on l.locktype = 'relation' and l.relation in (p.oid, p.parent)
       where l.database = (select d.oid from pg_database d where d.datname = current_database())
    ),
    awaited as materialized (
      select t.pending, t.virtualtransaction as transaction, x.transactionid
        from taken t
        left join lock x on x.locktype = 'transactionid' and x.granted and x.virtualtransaction = t.virtualtransaction
       where t.granted and t.relation <> t.pending
    ),
    detacher as materialized (
      select t.pending, t.pid from taken t where t.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
      union
      select a.pending, l.pid from awaited a join lock l on not l.granted and l.locktype = 'virtualxid' and l.virtualxid = a.transaction
      union
      select a.pending, l.pid from awaited a join lock l on not l.granted and l.transactionid = a.transactionid
    ),
    activity as materialized (
      select a.pid, case when a.state is not null then a.query end as query, cut.is_cut
        from pg_stat_activity a
        -- A character of several bytes is not cut in two.
        cross join lateral (
          select a.state is not null
                 and (a.state = 'disabled'
                      or octet_length(a.query) > pg_size_bytes(current_setting('track_activity_query_size')) - 5) as is_cut) cut
       where a.datname = current_database() and a.pid <> pg_backend_pid()
         and (a.state = 'active' and (a.query ~* 'detach' or cut.is_cut) or a.state = 'disabled'
              or a.state is null and a.query = '<insufficient privilege>')
    )
    select format('%I.%I', pn.nspname, p.relname) as parent, format('%I.%I', n.nspname, c.relname) as partition,
           pn.nspname::text as "parentSchema", p.relname::text as "parentName", n.nspname::text as schema, c.relname::text as name,
           coalesce((select jsonb_agg(jsonb_build_object('pid', a.pid, 'query', a.query, 'isCut', a.is_cut, 'hasLock', exists (
                       select from detacher d where d.pending = i.oid and d.pid = a.pid))) from activity a), '[]') as sessions
      from pending i
      join pg_class p on p.oid = i.parent join pg_namespace pn on pn.oid = p.relnamespace
      join pg_class c on c.oid = i.oid join pg_namespace n on n.oid = c.relnamespace
     order by 2`.execute(session.db);
  return rows;
}
