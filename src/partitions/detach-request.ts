import { refusedError } from '../cli/errors.ts';
import type { ChangeTableOptions } from './change.ts';
import type { DetachRequest } from './detach-plan.ts';
import { requireFitSchema } from './ordinary-schema.ts';
import { parseSelection, type SelectionOptions } from './select.ts';

/** The options of `partitions detach`, as commander hands them over. */
export interface DetachOptions extends ChangeTableOptions, SelectionOptions {
  readonly intoSchema?: string;
  /** False with `--no-gate`. */
  readonly gate: boolean;
  readonly yes?: boolean;
}

/** Reads what was asked for; throws usage errors before anything is connected. */
export function parseDetachRequest(options: DetachOptions, names: readonly string[]): DetachRequest {
  requireFitSchema(options.intoSchema, '--into-schema');
  const selection = parseSelection(names, options, 'partitions detach');
  if (!options.gate && options.yes !== true && options.dryRun !== true) {
    throw refusedError('confirmation_required', '--no-gate detaches what is held back for safety.', {
      object: '--no-gate',
      hint: 'See what it would do with --dry-run; then give --yes as well.',
    });
  }
  return { selection, intoSchema: options.intoSchema ?? null, gate: options.gate };
}
