import type { Sql } from 'postgres';
import { LOCK_MODES, type LockMode, pgLocksMode } from '../../src/db/lock-modes.ts';

/** A lock as pg_locks shows it, in the words of LOCK TABLE. */
export interface HeldLock {
  readonly relation: string;
  readonly mode: LockMode;
}

/** Gives the strongest mode on each relation. */
export function strongest(locks: readonly HeldLock[]): Readonly<Record<string, LockMode>> {
  const result: Record<string, LockMode> = {};
  for (const { relation, mode } of locks) {
    const before = result[relation];
    if (before === undefined || LOCK_MODES.indexOf(mode) > LOCK_MODES.indexOf(before))
      result[relation] = mode;
  }
  return result;
}

/** Lists the OIDs of all relations there are. */
export async function tableOids(sql: Sql): Promise<readonly number[]> {
  const rows = await sql<{ oid: number }[]>`select oid::int4 from pg_class`;
  return rows.map(({ oid }) => oid);
}

/**
 * Lists what a process has locked of the tables there were: in transactions that write, or with `always` in any, as for
 * CREATE INDEX CONCURRENTLY, which writes in some of its transactions only.
 */
export async function locksOf(
  sql: Sql,
  pid: number,
  existing: readonly number[],
  always = false,
): Promise<readonly HeldLock[]> {
  const rows = await sql<{ relation: string; mode: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as relation, l.mode
      from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
     where l.pid = ${pid} and l.database = (select oid from pg_database where datname = current_database())
       and c.oid = any (${existing as number[]}) and c.relkind in ('r', 'p')
       and n.nspname not in ('pg_catalog', 'information_schema', 'sensordb')
       and (${always} or exists (select from pg_locks x where x.pid = l.pid and x.locktype = 'transactionid'))`;
  return rows.map(({ relation, mode }) => ({
    relation,
    mode: LOCK_MODES.find((known) => pgLocksMode(known) === mode) as LockMode,
  }));
}
