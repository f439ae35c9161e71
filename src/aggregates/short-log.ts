import type { Session } from '../db/session.ts';
import { sqlStatement } from '../db/sql-files.ts';
import { isServerError, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';

/** From so many bytes on the log is vacuumed once it is empty: every refresh reads it. */
const LONG_LOG = 1_000_000;

/**
 * Gives the room of a long log back.
 *
 * It is no failure when somebody is in the way, or when the log belongs to another role. VACUUM would warn of either (14 to 18),
 * each time that cron runs it, of what autovacuum makes good: so it is not even asked then.
 */
export async function shortenLog(session: Session): Promise<void> {
  try {
    if (!(await reading(session, () => isWorthIt(session)))) return;
    await session.run(sqlStatement('aggregates/vacuum_log.sql', {}));
  } catch (thrown) {
    if (!isServerError(thrown) && sqlstateOf(thrown) === null) throw thrown;
  }
}

async function isWorthIt(session: Session): Promise<boolean> {
  const { rows } = await session.run(`
    select from pg_class c
      join pg_database d on d.datname = current_database()
     where c.oid = 'sensordb.aggregate_change'::regclass
       and pg_relation_size(c.oid) >= ${LONG_LOG}
       and (pg_has_role(c.relowner, 'USAGE') or pg_has_role(d.datdba, 'USAGE'))
       and not exists (
         select from pg_locks l
          where l.database = d.oid and l.relation = c.oid
            and l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))`);
  return rows.length > 0;
}
