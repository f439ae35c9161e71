import type { Command } from 'commander';
import type { Context } from './context.ts';
import type { Outcome } from './output.ts';

/** Runs one command's work with its options and operands; `main.ts` supplies it and shows what comes back. */
export type Invoke = <Options extends object>(
  command: Command,
  work: (context: Context, options: Options, operands: readonly string[]) => Promise<Outcome>,
) => void;

/** A command that has verbs, and what declares them. */
export interface Group {
  readonly group: Command;
  readonly declareVerbs: (group: Command, invoke: Invoke) => void;
}
