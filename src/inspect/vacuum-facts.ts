import { type Instant, toDate } from '../time/instant.ts';
import { type Fix, sqlFix } from './fix.ts';

/** What is known of a table or partition that holds rows itself, as far as VACUUM is concerned. */
export interface VacuumFacts {
  readonly oid: number;
  readonly qualified: string;
  /** The table at the top, as SQL spells it. */
  readonly root: string;
  readonly isPartition: boolean;
  readonly live: number;
  readonly dead: number;
  readonly insertedSince: number;
  /** Dead rows at which autovacuum comes. */
  readonly vacuumAt: number;
  /** Inserted rows at which autovacuum comes; null: it never does for these. */
  readonly insertAt: number | null;
  readonly isDisabled: boolean;
  readonly isToastDisabled: boolean;
  readonly pages: number;
  readonly visiblePages: number;
  /** By whomever; null: not since the statistics begin. */
  readonly vacuumedAt: Instant | null;
  readonly analyzedAt: Instant | null;
  /** Rows inserted, changed and deleted since the last ANALYZE. */
  readonly changedSince: number;
  readonly isBeingVacuumed: boolean;
  /** The catalog knows of rows, and the statistics of none: they were reset, or a crash has taken them. */
  readonly isForgotten: boolean;
}

/** What concerns autovacuum as a whole, and the tables of which anything is remarkable. */
export interface VacuumScene {
  readonly tables: readonly VacuumFacts[];
  /** When the statistics of the database were last thrown away; null: never, as far as the server knows. */
  readonly statsReset: Instant | null;
  /** Settings without which autovacuum does nothing, that are off. */
  readonly settingsOff: readonly string[];
}

const DAY = 86_400_000_000n;

/**
 * Tells until when the statistics are too young to judge by, for a day after they were reset; undefined: they are not.
 *
 * Null: until VACUUM or ANALYZE comes to the tables of which they know nothing.
 */
export function ripeAt({ tables, statsReset }: VacuumScene, now: Instant): Date | null | undefined {
  if (!tables.some(({ isForgotten }) => isForgotten)) return undefined;
  return statsReset === null || statsReset + DAY <= now ? null : toDate(statsReset + DAY);
}

/** Up to so many partitions are named in one VACUUM; of more, all of the table is vacuumed. */
const MOST_NAMED = 50;

/** Makes the VACUUM of some partitions of a table, or of all of it. */
export function vacuumFix(root: string, names: readonly string[]): Fix {
  const what = names.length > MOST_NAMED ? root : names.join(', ');
  return sqlFix('vacuum', `vacuum (analyze) ${what}`);
}
