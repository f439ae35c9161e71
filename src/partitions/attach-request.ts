import { usageError } from '../cli/errors.ts';
import { parseUserInstant } from '../time/durations.ts';
import type { Range } from '../time/instant.ts';
import type { ChangeTableOptions } from './change.ts';

/** The options of `partitions attach`, as commander hands them over. */
export interface AttachOptions extends ChangeTableOptions {
  readonly from?: string;
  readonly until?: string;
  readonly guardDefault?: boolean;
}

/** What `partitions attach` is asked to do. */
export interface AttachRequest {
  readonly names: readonly string[];
  /** The bounds of a table that sensordb did not detach; null for those that it knows. */
  readonly range: Range | null;
  /** Allows a CHECK on DEFAULT for the moment, which spares ATTACH the scan of a large one. */
  readonly guardDefault: boolean;
}

/** Reads what was asked for; throws usage errors before anything is connected. */
export function parseAttachRequest(options: AttachOptions, names: readonly string[]): AttachRequest {
  if (names.length === 0) {
    throw usageError('no_names', 'Say which leaves are to be attached.', {
      hint: 'sensordb partitions list shows those that were detached.',
    });
  }
  const { from, until } = options;
  const guardDefault = options.guardDefault === true;
  if (from === undefined && until === undefined) return { names, range: null, guardDefault };
  if (from === undefined || until === undefined || names.length > 1) {
    throw usageError('bounds', '--from and --until go together, and with one table.', {
      hint: 'sensordb partitions attach NAME --from 2025-01-01 --until 2025-02-01; leaves that sensordb detached need neither.',
    });
  }
  const lower = parseUserInstant(from, '--from');
  const upper = parseUserInstant(until, '--until');
  if (lower >= upper) {
    throw usageError('empty_range', `--from ${from} is not before --until ${until}.`, { object: '--from' });
  }
  return { names, range: { lower, upper }, guardDefault };
}
