import type { GlobalOptions } from '../cli/options.ts';
import { parseDuration } from '../time/durations.ts';

/** The options of `aggregates status`, as typed. */
export interface StatusOptions extends GlobalOptions {
  readonly table: string;
  readonly maxLag?: string;
}

/** Reads `--max-lag`, in seconds; null where none was given. Throws usage errors. */
export function parseMaxLag({ maxLag }: StatusOptions): number | null {
  return maxLag === undefined ? null : parseDuration(maxLag, '--max-lag') / 1000;
}
