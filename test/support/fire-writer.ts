import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from 'postgres';
import { connectTo } from './connect.ts';
import { type Source, writeOnce } from './fire-writes.ts';

/** What a round keeps of what was done in it. */
export interface Tally {
  readonly done: Map<string, number>;
  /** What must not happen to anybody. */
  readonly failures: string[];
  /** The commands that run at the moment, and how they are to be ended. */
  readonly running: Set<string>;
}

/** Counts something that was done. */
export function note(tally: Tally, what: string): void {
  tally.done.set(what, (tally.done.get(what) ?? 0) + 1);
}

/** What writers have to put up with: each other, DDL, and whoever ends them. */
const ENDURED = new Set([
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // lock timeout
  '57P01', // terminated
  '57P03', // not now
  '23514', // a row that no longer belongs into the leaf
  '42P01', // the leaf has gone
  '55000', // a leaf was prepared beyond the limit
  '53400',
  '25P01', // terminated between two statements: postgres.js connects anew
  '25P02', // within a transaction that has failed
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'ECONNRESET',
  'EPIPE',
]);

const LEVELS = ['read committed', 'repeatable read', 'serializable'] as const;

/** How transactions end. */
const ENDS = { commit: 70, rollback: 10, prepare: 12, vanish: 3 } as const;

/** Writes until it is told to cease: transaction after transaction, as an application does. */
export async function writeOn(
  url: string,
  who: string,
  source: Source,
  tally: Tally,
  ceased: AbortSignal,
  setUp = '',
): Promise<void> {
  // Whose session was ended within a statement is given that error once more by its next connection (postgres.js 3.4.9): the driver's
  // own question for the types would fail by it, and nobody waits for that.
  const connect = () => connectTo(url, { fetchTypes: false });
  let sql = connect();
  let number = 0;
  while (!ceased.aborted) {
    number += 1;
    try {
      await sql.unsafe(`set lock_timeout = '300ms';${setUp}`);
      const how = await within(4000, transaction(sql, source, `${who}_${number}`));
      note(tally, how);
      if (how === 'vanish' || how === 'stuck') {
        await sql.end({ timeout: 0 });
        sql = connect();
      }
    } catch (thrown) {
      const { code = '', message } = thrown as { code?: string; message: string };
      note(tally, `writer ${code}`);
      if (!ENDURED.has(code)) tally.failures.push(`A writer got ${code}: ${message}`);
      // A connection that has ended within a COPY may answer no more: always a new one.
      await sql.end({ timeout: 0 });
      sql = connect();
    }
    await sleep(source.random.between(0, 15));
  }
  await sql.end({ timeout: 1 });
}

// The end of a connection in the midst of a COPY is not told to its stream (postgres.js 3.4).
async function within<T>(milliseconds: number, work: Promise<T>): Promise<T | 'stuck'> {
  const timer = new AbortController();
  const late = sleep(milliseconds, 'stuck' as const, { signal: timer.signal }).catch(() => 'stuck' as const);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    work.catch(() => {});
  }
}

async function transaction(sql: Sql, source: Source, name: string): Promise<keyof typeof ENDS> {
  const { random } = source;
  await sql.unsafe(`begin isolation level ${random.pick(LEVELS)}`);
  // Some take their snapshot long before they write, or write and then stay open beyond the barrier.
  const isSlow = random.chance(0.35);
  if (random.chance(0.2)) await sql.unsafe('select from sensors_sensorreading limit 1');
  for (let left = random.between(1, 4); left > 0; left -= 1) {
    if (isSlow) await sleep(random.chance(0.1) ? random.between(300, 900) : random.between(0, 120));
    const inSavepoint = random.chance(0.25);
    if (inSavepoint) await sql.unsafe('savepoint s');
    await writeOnce(sql, source);
    if (inSavepoint) await sql.unsafe(random.chance(0.6) ? 'rollback to savepoint s' : 'release savepoint s');
  }
  if (isSlow) await sleep(random.between(0, 150));
  const end = random.weighted(ENDS);
  if (end === 'prepare') await sql.unsafe(`prepare transaction '${name}'`);
  else if (end !== 'vanish') await sql.unsafe(end);
  return end;
}

/** Commits or rolls back what was prepared, some at once, some late; all of it after it is told to cease. */
export async function finishPrepared(
  sql: Sql,
  source: Source,
  tally: Tally,
  ceased: AbortSignal,
): Promise<void> {
  while (!ceased.aborted) {
    await finish(sql, source, tally, 0.15);
    await sleep(60);
  }
}

/** Commits or rolls back a share of what is prepared. */
export async function finish(sql: Sql, { random }: Source, tally: Tally, share: number): Promise<void> {
  const prepared = await sql<
    { gid: string }[]
  >`select gid from pg_prepared_xacts where database = current_database()`;
  for (const { gid } of prepared) {
    if (!random.chance(share)) continue;
    const verb = random.chance(0.75) ? 'commit' : 'rollback';
    await sql.unsafe(`${verb} prepared '${gid}'`);
    note(tally, `${verb} prepared`);
  }
}
