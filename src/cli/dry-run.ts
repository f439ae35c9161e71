import type { Step } from '../db/step.ts';
import { openingStatements } from '../db/transaction.ts';
import { printable } from './table.ts';

/** Shows the steps as the `steps` of the JSON envelope. */
export function stepsAsData(steps: readonly Step[]): readonly Step[] {
  return steps.map(({ title, sql, transaction, locks }) => ({ title, sql, transaction, locks }));
}

/**
 * Prints steps as a psql script: the very statements that a run sends, with the transactions around them and, in
 * comments, the locks each takes on relations that exist.
 *
 * `notes` are comment lines for its head. Without steps they stand alone: what they tell of is perhaps still to be done.
 */
export function stepsAsScript(steps: readonly Step[], lockTimeoutMs: number, notes = ''): string {
  if (steps.length === 0) return notes === '' ? '-- Nothing to do.\n' : notes;
  const lines: string[] = ['\\set ON_ERROR_STOP on'];
  for (const [at, step] of steps.entries()) {
    const before = steps[at - 1];
    const after = steps[at + 1];
    const begins = step.transaction !== null && before?.transaction !== step.transaction;
    const ends = step.transaction !== null && after?.transaction !== step.transaction;
    if (begins || step.transaction === null) lines.push('', `-- ${printable(step.title)}`);
    if (begins) {
      lines.push(...openingStatements({ access: 'read write', lockTimeoutMs }).map((sql) => `${sql};`));
    }
    // A line end in a name would end the comment, and psql would run what follows.
    lines.push(...step.locks.map(({ relation, mode }) => `-- lock: ${mode} on ${printable(relation)}`));
    lines.push(`${step.sql};`);
    if (ends) lines.push('commit;');
  }
  return `${notes}${lines.join('\n')}\n`;
}
