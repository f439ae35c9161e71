import { type RawBuilder, sql } from 'kysely';
import type { Scene } from './scene.ts';

/**
 * Since when the cumulative statistics of this database count, as an expression.
 *
 * From 15 on pg_stat_database.stats_reset is null until somebody resets them; those of the background writer then tell when the
 * server's were begun anew, at its making or after a crash. A database that was made later cannot have older ones: superusers may
 * ask for the age of a file of it.
 */
export function statisticsSince({ capabilities }: Scene): RawBuilder<unknown> {
  // PostgreSQL asks for the right to call a function before it looks whether CASE comes to it (14 to 18).
  const made = capabilities.isSuperuser
    ? sql`(pg_stat_file(regexp_replace(pg_relation_filepath('pg_catalog.pg_class'), '[^/]*$', 'PG_VERSION'), true)).modification`
    : sql`null::timestamptz`;
  return sql`
    greatest(
      coalesce((select pg_stat_get_db_stat_reset_time(d.oid) from pg_database d where d.datname = current_database()),
               pg_stat_get_bgwriter_stat_reset_time()),
      ${made})`;
}
