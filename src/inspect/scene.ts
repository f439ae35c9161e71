import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import type { Capabilities } from './capabilities.ts';

/** What a check works with. */
export interface Scene {
  readonly session: Session;
  /** By this machine's clock. */
  readonly now: Date;
  readonly capabilities: Capabilities;
  /** The table that `--table` names; null: all of the database. */
  readonly table: Pick<PartitionedTable, 'oid' | 'qualified'> | null;
  /**
   * Tables on which, or on whose indexes or TOAST, somebody else holds or awaits ACCESS EXCLUSIVE: a look at their sizes or rows
   * would wait. An array literal of OIDs, such as `{16412,16420}`.
   */
  readonly locked: string;
  /** A threshold of the check that is looking, as the config file sets it or as it comes. */
  readonly threshold: (name: string) => number;
  /** The queries of the application whose plans are to prune, from the config file. */
  readonly queries: readonly string[];
  /** Reads what several checks need for the first of them alone, and gives the others the same; a read that fails is not kept. */
  readonly once: <T>(what: string, read: () => Promise<T>) => Promise<T>;
}
