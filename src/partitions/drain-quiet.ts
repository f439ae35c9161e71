import { busyError } from '../cli/errors.ts';
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

/** Gives way to whoever waits for the end of our transaction, because he wants to change a row that it deleted. */
export async function giveWay(session: Session): Promise<void> {
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
  const inTheWay = oldBlockers(options.budget.lockTimeoutMs);
  for (;;) {
    await giveWay(session);
    const found = await findBlockers(session.db, locks);
    const blockers = inTheWay(found);
    const [snapshot] = await readSnapshots(session);
    if (blockers.length === 0 && snapshot === undefined) return;
    if (options.budget.remainingMs() <= 0) throw spent(title, locks, blockers, snapshot);
    if (snapshot !== undefined)
      options.onWait(`${title}: waiting, ${describeHolder(snapshot, HOLDS_SNAPSHOT)}`);
    else options.onWait(`${title}: waiting, ${describeBlocker(blockers[0] as Blocker)}`);
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

/**
 * Finds who is idle in a transaction with a snapshot, which he will read by when we are through.
 *
 * Other runs of sensordb are READ COMMITTED, and two drains at once would hold each other back: they are known by the
 * advisory lock on their table.
 */
async function readSnapshots(session: Session): Promise<readonly Holder[]> {
  const { rows } = await session.run<Holder>(
    `select ${HOLDER} from pg_stat_activity a
      where a.datname = current_database() and a.state = 'idle in transaction' and a.backend_xmin is not null
        and a.pid <> pg_backend_pid()
        and not exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory'
                                                 and l.classid = ${TABLE_LOCK_CLASS})`,
  );
  return rows;
}
