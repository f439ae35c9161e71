import { busyError } from '../cli/errors.ts';
import type { Warning } from '../cli/output.ts';
import { type Blocker, describeBlocker, describeHolder, findBlockers, type Holder } from '../db/blockers.ts';
import type { RunOptions } from '../db/budget.ts';
import { TABLE_LOCK_CLASS } from '../db/lock.ts';
import { budgetSpent, oldBlockers } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import type { StepLock } from '../db/step.ts';

/** How often a wait inside the transaction looks whether the way is free, in milliseconds. */
const POLL_MS = 50;

/** Thrown to end a try whose transaction is to be rolled back, because somebody waits for it, or could see too little. */
export class GiveWay extends Error {
  readonly who: string;
  constructor(who: string) {
    super(who);
    this.name = 'GiveWay';
    this.who = who;
  }
}

/**
 * Gives way to whoever waits for the end of our transaction, because he wants to change a row that it deleted.
 *
 * Begins a look around: what is read of pg_stat_activity after it is of this moment.
 */
export async function giveWay(session: Session): Promise<void> {
  // What a transaction has once read of pg_stat_activity it is shown until its end, unlike pg_locks (14 to 18).
  await session.run('select pg_stat_clear_snapshot()');
  const [waiter] = await readWaiters(session);
  if (waiter === undefined) return;
  throw new GiveWay(describeHolder(waiter, ' wants to change a row that is being moved'));
}

/** Makes the busy error of a budget that was spent on giving way. */
export function gaveUp(title: string, locks: readonly StepLock[], { who }: GiveWay) {
  return busyError('lock_budget_spent', `${title}: held back by ${who}.`, {
    sqlstate: SQLSTATE.lockNotAvailable,
    object: locks[0]?.relation,
    hint: 'Nothing is half done: what was copied is kept for the next run. Let that transaction end, or give more time with --wait, and run it again.',
  });
}

/** Waits inside the transaction until nobody is in the way; gives way to whoever waits for a row that it deleted. */
export async function quiet(
  session: Session,
  title: string,
  locks: readonly StepLock[],
  options: RunOptions,
): Promise<void> {
  await session.run(`select pg_advisory_xact_lock_shared(${DRAIN_LOCK_CLASS}, 0)`);
  const inTheWay = oldBlockers(options.budget.lockTimeoutMs);
  let before: readonly Snapshot[] | null = null;
  for (;;) {
    await giveWay(session);
    const found = await findBlockers(session.db, locks);
    const blockers = inTheWay(found);
    const snapshots = await readSnapshots(session);
    const lasting = snapshots.find((one) => one.isIdle || isAmong(one, before ?? []));
    const isSettled = snapshots.length === 0 || (before !== null && lasting === undefined);
    if (blockers.length === 0 && isSettled) return;
    const isHeld = blockers.length > 0 || lasting !== undefined;
    if (isHeld && options.budget.remainingMs() <= 0) throw spent(title, locks, blockers, lasting);
    if (lasting !== undefined)
      options.onWait(`${title}: waiting, ${describeHolder(lasting, HOLDS_SNAPSHOT)}`);
    else if (isHeld) options.onWait(`${title}: waiting, ${describeBlocker(blockers[0] as Blocker)}`);
    before = snapshots;
    await options.budget.pause(POLL_MS, session.signal);
  }
}

const HOLDS_SNAPSHOT = ' has a snapshot that would miss the rows';

function spent(
  title: string,
  locks: readonly StepLock[],
  blockers: readonly Blocker[],
  snapshot: Holder | undefined,
) {
  if (blockers.length > 0 || snapshot === undefined) return budgetSpent(title, locks, blockers, undefined);
  return gaveUp(title, locks, new GiveWay(describeHolder(snapshot, HOLDS_SNAPSHOT)));
}

const HOLDER = `a.pid, a.usename::text as "user", nullif(a.application_name, '') as application, a.state, a.query,
  extract(epoch from clock_timestamp() - a.xact_start)::float8 as "ageSeconds"`;

/** Finds who waits for the end of our transaction, because he wants a row that we deleted. */
async function readWaiters(session: Session): Promise<readonly Holder[]> {
  const { rows } = await session.run<Holder>(
    `select ${HOLDER} from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'transactionid' and not l.granted
        and l.transactionid = (pg_current_xact_id_if_assigned()::text::int8 & 4294967295)::text::xid`,
  );
  return rows;
}

/** A session with a snapshot that it may go on to read by. */
interface Snapshot extends Holder {
  /** Its transaction, which everybody sees. */
  readonly transaction: string | null;
  /** It is seen to be idle in its transaction: then its snapshot is one that stays. */
  readonly isIdle: boolean;
}

/** The snapshot of the same transaction was there before: no short statement's, which would have ended by then. */
function isAmong({ pid, transaction }: Snapshot, before: readonly Snapshot[]): boolean {
  return before.some((one) => one.pid === pid && one.transaction === transaction);
}

/** "SDB" in ASCII and a number: the classid of the lock by which the last transactions of drains know each other. */
const DRAIN_LOCK_CLASS = 0x53444203;

/**
 * Finds who has a snapshot that it may read by when we are through.
 *
 * Everybody sees backend_xmin and the transaction, but only members of pg_read_all_stats the state of other roles' sessions:
 * one that is hidden counts (14 to 18). A statement that began together with its transaction ends with its snapshot. Other
 * runs of sensordb are READ COMMITTED, and two drains at once would hold each other back: they are known by advisory
 * locks, behind a pooler by the one that this very transaction takes. Autovacuum has no role.
 */
async function readSnapshots(session: Session): Promise<readonly Snapshot[]> {
  const { rows } = await session.run<Snapshot>(
    `select ${HOLDER}, v.virtualtransaction as transaction,
            coalesce(a.state like 'idle in transaction%', false) as "isIdle"
       from pg_stat_activity a
       left join pg_locks v on v.pid = a.pid and v.locktype = 'virtualxid' and v.granted
                           and v.virtualxid = v.virtualtransaction
      where a.datname = current_database() and a.usesysid is not null and a.backend_xmin is not null
        and a.pid <> pg_backend_pid()
        and (a.state is null or a.state <> 'active' or a.query_start > a.xact_start)
        and not exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory' and l.granted
                           and l.database = a.datid and l.classid in (${TABLE_LOCK_CLASS}, ${DRAIN_LOCK_CLASS}))
      order by "isIdle" desc, a.pid`,
  );
  return rows;
}

/** Tells whether other roles' sessions are hidden from the role: then each of them that has a snapshot holds a drain back. */
export async function hidesSnapshots(session: Session): Promise<boolean> {
  const { rows } = await session.run<{ isHidden: boolean }>(
    `select not pg_has_role('pg_read_all_stats', 'usage') as "isHidden"`,
  );
  return rows[0]?.isHidden ?? true;
}

/** Says that more sessions than need be may hold a drain back. */
export const SNAPSHOTS_HIDDEN: Warning = {
  code: 'snapshots_hidden',
  message:
    "The role cannot see what other roles' sessions do: each of them that has a snapshot for longer than a moment holds draining back, as if it were REPEATABLE READ. GRANT pg_read_all_stats to the role.",
};
