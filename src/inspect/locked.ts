import { sql } from 'kysely';
import { describeHolder, type Holder } from '../db/blockers.ts';
import { groupBy } from '../partitions/drift.ts';
import type { Finding } from './check.ts';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';

/** What findings about such tables have for their check. */
export const LOCKED = 'locked';

/** A table that cannot be opened at the moment. */
export interface LockedTable {
  readonly oid: number;
  /** As SQL spells it. */
  readonly qualified: string;
  /** The table at the top. */
  readonly root: string;
  /** Who holds or awaits the lock: in words, and by a name of its transaction, which prepared ones have, too. */
  readonly holder: string;
  readonly transaction: string;
}

type LockedRow = Holder & Omit<LockedTable, 'holder'> & { readonly granted: boolean };

/**
 * Finds the tables in scope on which, or on whose indexes or TOAST, somebody else holds or awaits ACCESS EXCLUSIVE: one query,
 * which waits for no lock.
 *
 * Who only queues for it counts, too: whoever asks after them waits behind them.
 */
export async function readLocked(scene: Omit<Scene, 'locked'>): Promise<readonly LockedTable[]> {
  const { rows } = await sql<LockedRow>`
    with recursive ${memberTree({ ...scene, locked: '{}' })},
    held as materialized (
      select l.relation, l.pid, l.granted, l.virtualtransaction as transaction
        from pg_locks l
       where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid is distinct from pg_backend_pid()
         and l.database = (select d.oid from pg_database d where d.datname = current_database())
    ),
    blocked as (
      select h.relation as oid, h.pid, h.granted, h.transaction from held h
      union all
      select x.indrelid, h.pid, h.granted, h.transaction from held h join pg_index x on x.indexrelid = h.relation
      union all
      select c.oid, h.pid, h.granted, h.transaction from held h join pg_class c on c.reltoastrelid = h.relation
    )
    select distinct on (m.oid) m.oid, format('%I.%I', n.nspname, c.relname) as qualified,
           format('%I.%I', rn.nspname, r.relname) as root, b.granted, b.pid, b.transaction,
           a.usename::text as "user", nullif(a.application_name, '') as application, a.state,
           a.query, extract(epoch from clock_timestamp() - a.xact_start)::float8 as "ageSeconds"
      from blocked b
      join member m on m.oid = b.oid
      join pg_class c on c.oid = m.oid
      join pg_namespace n on n.oid = c.relnamespace
      join pg_class r on r.oid = m.root
      join pg_namespace rn on rn.oid = r.relnamespace
      left join pg_stat_activity a on a.pid = b.pid
     order by m.oid, b.granted desc, b.transaction`.execute(scene.session.db);
  return rows.map(({ oid, qualified, root, transaction, granted, ...holder }) => ({
    ...{ oid, qualified, root, transaction },
    holder: describeHolder(holder, ` ${granted ? 'holds' : 'waits for'} ACCESS EXCLUSIVE`),
  }));
}

const MOST_NAMED = 5;

/**
 * Makes the findings about tables that could not be opened, for all the checks that would have: one for each table at the top and
 * who locks it, for LOCK TABLE locks every partition. `checks` are their names.
 */
export function lockedFindings(
  locked: readonly LockedTable[],
  checks: readonly string[],
): readonly Finding[] {
  const groups = groupBy(locked, ({ root, transaction }) => JSON.stringify([root, transaction]));
  return [...groups.values()].map((group) => {
    const [{ qualified, root, holder }] = group as [LockedTable];
    const names = group.map((one) => one.qualified).toSorted();
    const isOne = group.length === 1;
    const what = names.includes(root)
      ? `${root} and ${names.length - 1} of its partitions`
      : `${names.length} partitions of ${root}`;
    return {
      check: LOCKED,
      area: 'activity',
      severity: 'unknown',
      object: isOne ? qualified : root,
      message: `${isOne ? qualified : what} could not be looked at: ${holder}.`,
      evidence: { checks, tables: names.slice(0, MOST_NAMED), tableCount: names.length },
      fixes: [],
    };
  });
}
