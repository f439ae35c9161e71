import { type RawBuilder, sql } from 'kysely';
import { commandFix, type Fix, shellWord } from '../fix.ts';

/** Tells of a table, given its OID, whether sensordb's own commands work on it: by range of one column of time. */
export function isManaged(oid: string): RawBuilder<unknown> {
  return sql`
    exists (select from pg_partitioned_table pt
              join pg_attribute pk on pk.attrelid = pt.partrelid and pk.attnum = pt.partattrs[0]
             where pt.partrelid = ${sql.raw(oid)} and pt.partstrat = 'r' and pt.partnatts = 1
               and pk.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype))`;
}

/** The command that builds and attaches what a table's partitions lack, CONCURRENTLY. */
export function repairIndexes(rootTable: string): Fix {
  const text = `sensordb partitions repair --table ${shellWord(rootTable)} --only indexes`;
  return { ...commandFix('repair', text), indexes: rootTable };
}

/**
 * The tables on which an index is being built CONCURRENTLY, as a common table expression: `building (oid)`.
 *
 * CREATE and REINDEX INDEX CONCURRENTLY hold SHARE UPDATE EXCLUSIVE on the table from their beginning to their end (14 to 18), as
 * VACUUM does, too; they alone stand in pg_stat_progress_create_index, whose pids everybody may see.
 */
export const BUILDING = sql`
  building as materialized (
    select distinct l.relation as oid
      from pg_locks l
      join pg_stat_progress_create_index p on p.pid = l.pid and p.datname = current_database()
     where l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock' and l.granted
       and l.database = (select d.oid from pg_database d where d.datname = current_database())
  )`;
