import type { Warning } from '../cli/output.ts';
import { createBudget } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { quoteIdentifier } from '../db/quote.ts';
import { type Session, uninterrupted } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import type { PhaseOptions } from './detach-run.ts';
import { type Phase, runPhases } from './leaf-work.ts';

/** A CHECK that is on a table for the moment: it refuses rows. */
export interface Undo {
  /** The table that it is on. */
  readonly oid: number;
  readonly relation: string;
  readonly constraint: string;
  /** What removes it. */
  readonly phase: Phase;
}

/** How long the removal may wait for its lock, even when the budget is spent. */
const REMOVAL_MS = 5000;

/** Removes what must not stay of a failed task, also after an interruption; gives what stands all the same. Never throws. */
export async function undoTask(
  session: Session,
  table: PartitionedTable,
  undo: readonly Undo[],
  options: PhaseOptions,
): Promise<readonly Undo[]> {
  if (undo.length === 0) return [];
  const always = uninterrupted(session);
  const budget = createBudget(options.budget.lockTimeoutMs, REMOVAL_MS);
  for (const { phase } of await standing(always, undo)) {
    // What cannot be removed is found standing after this.
    await runPhases(always, table, [phase], { ...options, budget }).catch(() => {});
  }
  return await standing(always, undo);
}

/** Gives what cannot be told to be gone, too: the connection may be lost. */
async function standing(session: Session, undo: readonly Undo[]): Promise<readonly Undo[]> {
  try {
    const { rows } = await reading(session, () =>
      session.run<{ oid: number; name: string }>(
        `select k.conrelid as oid, k.conname::text as name from pg_constraint k
          where k.contype = 'c' and k.conrelid = any ($1::oid[])`,
        [`{${undo.map(({ oid }) => oid).join()}}`],
      ),
    );
    return undo.filter(({ oid, constraint }) =>
      rows.some((row) => row.oid === oid && row.name === constraint),
    );
  } catch {
    return undo;
  }
}

/** Spells the statement that removes it by hand. */
export function removalOf({ relation, constraint }: Undo): string {
  return `ALTER TABLE ${relation} DROP CONSTRAINT IF EXISTS ${quoteIdentifier(constraint)}`;
}

/** Says that a CHECK stands and refuses rows. */
export function describeLeft(left: Undo): Warning {
  return {
    code: 'guard_left',
    message: `CHECK ${left.constraint} may still stand on ${left.relation}, and refuses rows (SQLSTATE 23514): ${removalOf(left)}. The next run of attach removes it, too.`,
  };
}
