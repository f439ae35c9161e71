import { printable } from '../cli/table.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { runTransaction } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import type { Step, StepLock } from '../db/step.ts';
import { detachStatements, type PhaseOptions, runDetach } from './detach-run.ts';
import type { LeafFacts } from './leaf-facts.ts';

/** One statement of a phase, with its locks. */
export interface Statement {
  readonly sql: string;
  readonly locks?: readonly StepLock[];
}

/** A part of the work on one leaf that is done as a whole, or not at all. */
export type Phase =
  | { readonly kind: 'transaction'; readonly title: string; readonly statements: readonly Statement[] }
  | {
      /** DETACH CONCURRENTLY, which stands alone and can stop halfway; what it left is for FINALIZE. */
      readonly kind: 'detach';
      readonly title: string;
      readonly leaf: Pick<LeafFacts, 'oid' | 'schema' | 'name' | 'relation'>;
      /** Which of the two statements is shown. */
      readonly state: 'attached' | 'detach_pending';
      readonly concurrently: string;
      readonly finalize: string;
      readonly locks: readonly StepLock[];
      /** The lock_timeout of the session; null where no session is ours. */
      readonly timeoutMs: number | null;
    };

/** The phase of DETACH CONCURRENTLY. */
export type DetachPhase = Extract<Phase, { kind: 'detach' }>;

/** Lists the steps of phases as they are sent: each phase that is a transaction has a number of its own. */
export function stepsOf(phases: readonly Phase[]): readonly Step[] {
  return phases.flatMap((phase, at) => {
    const transaction = phase.kind === 'transaction' ? at + 1 : null;
    const statements = phase.kind === 'transaction' ? phase.statements : detachStatements(phase);
    return statements.map(({ sql, locks = [] }) => ({
      title: printable(phase.title),
      sql,
      transaction,
      locks,
    }));
  });
}

/** Runs phases in their order, each under the lock budget. */
export async function runPhases(
  session: Session,
  table: PartitionedTable,
  phases: readonly Phase[],
  options: PhaseOptions,
): Promise<void> {
  for (const phase of phases) {
    if (phase.kind === 'transaction') await runTransaction(session, stepsOf([phase]), options);
    else await runDetach(session, table, phase, options);
  }
}
