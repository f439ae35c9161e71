import { fromDate, toDate } from '../../time/instant.ts';
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
  /** Of those, so many as no request of autosummarize will bring about any more: it was lost, or there was never one. */
  readonly lostPages: number;
  /** An autovacuum worker summarizes what it was asked to, within autovacuum_naptime. */
  readonly isServed: boolean;
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
      lostPages: 0,
      isServed: summarizes(brin),
      isUnclear: summarizes(brin),
    }));
  }
  const contents = new Map((await readSummarized(scene, pageinspect, brins)).map((one) => [one.oid, one]));
  return brins.map((brin) => {
    const { summarized, until } = contents.get(brin.oid) ?? { summarized: 0, until: 0 };
    const full = Math.floor(brin.heapPages / brin.pagesPerRange);
    const ranges = Math.max(0, full - summarized);
    const old = until - summarized + oldRanges(scene, brin, until);
    return {
      ...{ brin, method: 'measured', isServed: summarizes(brin), isUnclear: false },
      pages: ranges * brin.pagesPerRange,
      lostPages: Math.min(ranges, Math.max(old, ranges - MOST_REQUESTS)) * brin.pagesPerRange,
    };
  });
}

/** So many requests of autosummarize autovacuum remembers, for the whole server (NUM_WORKITEMS, 14 to 18); it logs that others are lost. */
const MOST_REQUESTS = 256;

const HOUR = 3_600_000_000n;

/** Counts the ranges after the last summarized one that were full at the last ANALYZE, when that is long ago. */
function oldRanges(scene: Scene, brin: Brin, until: number): number {
  const { analyzedAt, changedSinceAnalyze, knownPages, heapPages, pagesPerRange, rowsPerPage } = brin;
  const longAgo = fromDate(scene.now) - BigInt(Math.round(scene.threshold('hours'))) * HOUR;
  if (analyzedAt === null || analyzedAt > longAgo || rowsPerPage === null) return 0;
  // CREATE INDEX counts the pages anew, and a COPY that is under way no rows yet: each knows what the other does not.
  const pages = Math.min(knownPages, heapPages - changedSinceAnalyze / rowsPerPage);
  return Math.max(0, Math.floor(pages / pagesPerRange) - until);
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
