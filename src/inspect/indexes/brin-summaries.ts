import { toDate } from '../../time/instant.ts';
import type { Scene } from '../scene.ts';
import { readVacuumScene } from '../vacuum-read.ts';
import { readSummarized } from './brin-contents.ts';
import type { Brin } from './brins.ts';
import { readAutovacuum } from './settings.ts';

/** What a BRIN index does not know of its table. */
export interface Summaries {
  readonly brin: Brin;
  /** Pages without a summary, or that nobody can tell to have one. */
  readonly pages: number;
  readonly method: 'measured' | 'inserted since the last vacuum';
  /** An autovacuum worker has been asked to summarize, and is due within autovacuum_naptime. */
  readonly isDue: boolean;
  /** Autosummarize may have made the summaries, or its requests were lost. */
  readonly isUnclear: boolean;
}

/** Counts the pages without a summary, or where that cannot be done estimates them: one query. */
export async function readSummaries(scene: Scene, brins: readonly Brin[]): Promise<readonly Summaries[]> {
  const { pageinspect } = scene.capabilities;
  const autovacuum = await readAutovacuum(scene);
  const summarizes = (brin: Brin): boolean => brin.autosummarize && autovacuum;
  if (pageinspect === null) {
    return brins.map((brin) => ({
      brin,
      pages: insertedPages(brin),
      method: 'inserted since the last vacuum',
      isDue: false,
      isUnclear: summarizes(brin),
    }));
  }
  const summarized = new Map(
    (await readSummarized(scene, pageinspect, brins)).map((one) => [one.oid, one.summarized]),
  );
  return brins.map((brin) => {
    const full = Math.floor(brin.heapPages / brin.pagesPerRange);
    const pages = Math.max(0, full - (summarized.get(brin.oid) ?? 0)) * brin.pagesPerRange;
    return { brin, pages, method: 'measured', isDue: summarizes(brin), isUnclear: false };
  });
}

/** Tells whether the statistics know neither of a VACUUM nor of most of the rows: they were reset, or a crash has taken them. */
export function isForgotten({ brin, method }: Summaries): boolean {
  const { isVacuumed, insertedSinceVacuum, rowsPerPage, heapPages } = brin;
  if (method === 'measured' || isVacuumed) return false;
  return rowsPerPage === null || insertedSinceVacuum < (heapPages * rowsPerPage) / 2;
}

/** The pages that the rows fill which were inserted since the last VACUUM, in full ranges. */
function insertedPages(brin: Brin): number {
  const { insertedSinceVacuum, rowsPerPage, heapPages, pagesPerRange } = brin;
  const pages = Math.min(heapPages, insertedSinceVacuum / (rowsPerPage ?? Number.POSITIVE_INFINITY));
  return Math.floor(pages / pagesPerRange) * pagesPerRange;
}

const DAY = 86_400_000_000n;

/**
 * Tells when a VACUUM will have made sure of what is unclear; undefined: none is to be expected.
 *
 * Null: nobody can say; autovacuum is due. It also comes in time to a table that grows on as it did since the last VACUUM.
 */
export async function ripeAt(
  scene: Scene,
  unclear: readonly Summaries[],
): Promise<ReadonlyMap<Summaries, Date | null | undefined>> {
  if (unclear.length === 0) return new Map();
  const facts = new Map((await readVacuumScene(scene)).tables.map((table) => [table.qualified, table]));
  const days = BigInt(Math.round(scene.threshold('vacuum_days')));
  return new Map(
    unclear.map((one) => {
      const {
        insertedSince = 0,
        insertAt = null,
        isDisabled = true,
        vacuumedAt = null,
      } = facts.get(one.brin.table) ?? {};
      if (isDisabled || insertAt === null) return [one, undefined];
      if (insertedSince > insertAt) return [one, null];
      const at = vacuumedAt === null ? null : toDate(vacuumedAt + days * DAY);
      return [one, at !== null && at > scene.now ? at : undefined];
    }),
  );
}
