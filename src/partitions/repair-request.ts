import { usageError } from '../cli/errors.ts';
import type { ChangeTableOptions } from './change.ts';
import { DRIFT_KINDS, type DriftKind } from './drift.ts';

/** The options of `partitions repair`, as commander hands them over. */
export interface RepairOptions extends ChangeTableOptions {
  readonly only?: string;
  readonly skip?: string;
  readonly check?: boolean;
}

/** Which drift is looked for, and on which leaves. */
export interface RepairRequest {
  /** As SQL spells them; none: all leaves. */
  readonly names: readonly string[];
  readonly kinds: ReadonlySet<DriftKind>;
}

/** Reads what was asked for; throws usage errors before anything is connected. */
export function parseRepairRequest(names: readonly string[], options: RepairOptions): RepairRequest {
  if (options.check === true && options.dryRun === true) {
    throw usageError('check_and_dry_run', 'Give --check or --dry-run, not both.', {
      object: '--check',
      hint: '--check tells by its exit code whether there is drift; --dry-run prints the SQL that would mend it.',
    });
  }
  const only = parseKinds(options.only, '--only') ?? new Set(DRIFT_KINDS);
  const skip = parseKinds(options.skip, '--skip') ?? new Set();
  const kinds = new Set(DRIFT_KINDS.filter((kind) => only.has(kind) && !skip.has(kind)));
  if (kinds.size > 0) return { names, kinds };
  throw usageError('no_kinds', '--only and --skip together leave nothing to look for.', { object: '--skip' });
}

function parseKinds(text: string | undefined, option: string): ReadonlySet<DriftKind> | null {
  if (text === undefined) return null;
  const words = text.split(',').map((word) => word.trim());
  return new Set(
    words.map((word) => {
      const kind = DRIFT_KINDS.find((known) => known === word);
      if (kind !== undefined) return kind;
      throw usageError('bad_kind', `${option} ${JSON.stringify(word)} is no kind of drift.`, {
        hint: `Give some of ${DRIFT_KINDS.join(', ')}, with commas between them.`,
        object: option,
      });
    }),
  );
}
