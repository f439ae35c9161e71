import { refusedError } from '../cli/errors.ts';
import { type Age, parseAge } from '../time/ages.ts';
import type { ChangeTableOptions } from './change.ts';
import { parseSelection, type Selection, type SelectionOptions } from './select.ts';

/** The options of `partitions drop`, as commander hands them over. */
export interface DropOptions extends ChangeTableOptions, SelectionOptions {
  readonly keepFor?: string;
  readonly yes?: boolean;
  /** False: `--no-gate`. */
  readonly gate: boolean;
}

/** What was asked for. */
export interface DropRequest {
  readonly selection: Selection;
  /** Only what was detached so long ago is dropped; null: attached leaves, too, and detached ones of any age. */
  readonly keepFor: Age | null;
  readonly gate: boolean;
}

/** Reads what was asked for, before anything is connected; throws usage errors, and refuses `--no-gate` without `--yes`. */
export function parseDropRequest(names: readonly string[], options: DropOptions): DropRequest {
  const selection = parseSelection(names, options, 'partitions drop');
  const keepFor = options.keepFor === undefined ? null : parseAge(options.keepFor, '--keep-for');
  if (!options.gate && options.yes !== true && options.dryRun !== true) {
    throw refusedError('confirmation_required', '--no-gate passes over reasons to keep leaves.', {
      object: '--no-gate',
      hint: 'See what it would do with --dry-run; then give --yes as well.',
    });
  }
  return { selection, keepFor, gate: options.gate };
}
