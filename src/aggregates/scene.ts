import type { RunOptions } from '../db/budget.ts';
import type { Session } from '../db/session.ts';
import type { Source } from './source.ts';

/** What a command that counts works with. */
export interface CountingScene {
  readonly session: Session;
  readonly source: Source;
  readonly run: RunOptions;
  /** The hour that is not over yet, since 1970. */
  readonly hour: number;
  /** Told before the first change: the run log's line is begun. */
  readonly begin: () => Promise<void>;
  readonly update: (text: string) => void;
}
