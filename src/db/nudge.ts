import type { Blocker } from './blockers.ts';
import type { RunOptions } from './budget.ts';
import { pgLocksMode } from './lock-modes.ts';
import type { Session } from './session.ts';
import { inTransaction, reading } from './transaction.ts';

/** How much longer than deadlock_timeout a nudge waits, in milliseconds. */
const MARGIN_MS = 500;

/**
 * Makes an autovacuum give way that alone holds what we need, by asking for the very lock that it holds.
 *
 * Autovacuum ends itself for whoever has waited for it for deadlock_timeout (1 s), unless it works against wraparound.
 * To queue that long for a strong lock would hold everybody up; SHARE UPDATE EXCLUSIVE conflicts with
 * autovacuum, but neither with readers nor with writers. Whether the holder is an autovacuum only members of
 * pg_read_all_stats see; another one, such as ANALYZE, is not harmed. Returns the relations that were asked for.
 */
export async function nudgeAutovacuum(
  session: Session,
  blockers: readonly Blocker[],
  options: RunOptions,
): Promise<readonly string[]> {
  const held = pgLocksMode('SHARE UPDATE EXCLUSIVE');
  if (!blockers.every(({ mode, granted }) => granted && mode === held)) return [];
  const deadlockTimeoutMs = await reading(session, () => readDeadlockTimeout(session));
  const patienceMs = deadlockTimeoutMs + MARGIN_MS;
  if (options.budget.remainingMs() < patienceMs) return [];
  const relations = [...new Set(blockers.map(({ relation }) => relation))];
  for (const relation of relations) await ask(session, relation, patienceMs, options);
  return relations;
}

async function readDeadlockTimeout(session: Session): Promise<number> {
  const { rows } = await session.run<{ milliseconds: number }>(
    `select setting::int4 as milliseconds from pg_settings where name = 'deadlock_timeout'`,
  );
  return rows[0]?.milliseconds ?? 1000;
}

async function ask(
  session: Session,
  relation: string,
  lockTimeoutMs: number,
  { budget }: RunOptions,
): Promise<void> {
  const start = performance.now();
  try {
    await inTransaction(session, { access: 'read write', lockTimeoutMs }, async () => {
      await session.run(`lock table only ${relation} in share update exclusive mode`);
    });
  } catch {
    // Perhaps it is no autovacuum, or the role may not lock this table: then the wait goes on as it was.
    session.signal.throwIfAborted();
  }
  budget.spend(performance.now() - start);
}
