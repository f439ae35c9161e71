import { failure, SensordbError } from '../cli/errors.ts';
import { quoteLiteral } from './quote.ts';
import type { Session } from './session.ts';
import { explainServerError, sqlstateOf } from './sqlstate.ts';
import { explainStateRight } from './state-right.ts';

interface TransactionOptions {
  readonly access: 'read only' | 'read write';
  readonly lockTimeoutMs: number;
  /** One snapshot for all statements of the transaction, or one for each; by default the latter. */
  readonly isolation?: 'read committed' | 'repeatable read';
}

/**
 * The statements that open every transaction of ours.
 *
 * SET LOCAL rather than SET: behind PgBouncer in transaction mode a session setting would land on a connection that
 * others use. The search_path is fixed, so that nobody's function or operator can stand in for a built-in one, and
 * TimeZone and DateStyle are, since partition bounds are printed by them, and quote_all_identifiers, since names are
 * compared. jit off: a plan over thousands of leaves costs more to compile than to run.
 */
export function openingStatements({
  access,
  lockTimeoutMs,
  isolation = 'read committed',
}: TransactionOptions): readonly string[] {
  return [
    `begin isolation level ${isolation} ${access}`,
    'set local search_path to pg_catalog, pg_temp',
    "set local timezone to 'UTC'",
    "set local datestyle to 'ISO, MDY'",
    'set local jit to off',
    'set local quote_all_identifiers to off',
    `set local lock_timeout to ${quoteLiteral(`${lockTimeoutMs}ms`)}`,
  ];
}

/**
 * Runs a function inside one transaction: commits when it returns, rolls back when it throws.
 *
 * The work goes through `session.run` or `session.db`, which share the one connection.
 */
export async function inTransaction<T>(
  session: Session,
  options: TransactionOptions,
  work: () => Promise<T>,
): Promise<T> {
  await session.assertLocked();
  let result: T;
  try {
    await open(session, options);
    result = await work();
    // Not sent, COMMIT would leave the transaction open, for the next one to commit.
    session.signal.throwIfAborted();
  } catch (thrown) {
    // A connection that is lost has rolled back already; the reason is on its way to the user.
    await session.runAlways('rollback').catch(() => {});
    throw thrown;
  }
  await commit(session);
  return result;
}

async function commit(session: Session): Promise<void> {
  try {
    const { command } = await session.run('commit');
    if (command === 'COMMIT') return;
  } catch (thrown) {
    await rollBackIfOpen(session);
    throw explainServerError(thrown, 'Committing');
  }
  // A transaction in which a statement failed is ended by COMMIT, too, and answers it with the tag ROLLBACK.
  throw failure('rolled_back', 'The server rolled the transaction back instead of committing it.', {
    hint: 'A statement in it had failed. Nothing of it was changed; run it again.',
  });
}

const NO_ACTIVE_TRANSACTION = '25P01';

/**
 * Ends a transaction whose COMMIT failed: one that was cancelled before it ran leaves it open, one that failed in
 * running does not.
 */
async function rollBackIfOpen(session: Session): Promise<void> {
  try {
    // ROLLBACK outside of a transaction is answered with a warning, which users would see; SAVEPOINT with an error.
    await session.runAlways('savepoint still_open');
  } catch (thrown) {
    if (sqlstateOf(thrown) === NO_ACTIVE_TRANSACTION) return;
  }
  await session.runAlways('rollback').catch(() => {}); // A connection that is lost has rolled back already.
}

async function open(session: Session, options: TransactionOptions): Promise<void> {
  try {
    await session.run(openingStatements(options).join('; '));
  } catch (thrown) {
    // PgBouncer in statement mode answers BEGIN by ending the connection.
    const refused =
      session.pooled && thrown instanceof SensordbError && thrown.facts.code === 'connection_lost';
    if (!refused) throw thrown;
    throw failure('connection_lost', thrown.message, {
      sqlstate: thrown.facts.sqlstate ?? undefined,
      hint: 'A pooler in statement mode allows no transactions: connect directly, or through one in transaction mode. Otherwise run it again.',
      cause: thrown,
    });
  }
}

/** How long a read waits for a lock: only what somebody locks whose table is being read at that very moment. */
const READ_LOCK_TIMEOUT_MS = 1000;

/** Runs catalog queries in one read-only transaction with the fixed settings. */
export async function reading<T>(
  session: Session,
  work: () => Promise<T>,
  lockTimeoutMs = READ_LOCK_TIMEOUT_MS,
): Promise<T> {
  try {
    return await inTransaction(session, { access: 'read only', lockTimeoutMs }, work);
  } catch (thrown) {
    throw (await explainStateRight(session, thrown)) ?? explainServerError(thrown, 'Reading the catalog');
  }
}
