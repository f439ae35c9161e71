import { quoteLiteral } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { readSummarized } from '../indexes/brin-contents.ts';
import { type Brin, readBrins } from '../indexes/brins.ts';
import { readAutovacuum } from '../indexes/settings.ts';
import { firstFew, partitions } from '../indexes/tree.ts';
import type { Scene } from '../scene.ts';

/** Finds BRIN indexes that do not know much of their table. */
export const brinUnsummarized: Check = {
  name: 'brin_unsummarized',
  area: 'indexes',
  finds: 'BRIN indexes that leave a large part of their table unsummarized',
  explanation: `A BRIN index holds a summary for each range of pages. New ranges get theirs from VACUUM, or as they fill when autosummarize is on (off
by default), by an autovacuum worker. Every query through the index reads whatever has no summary yet: most often the newest rows, which
are asked for most.

Superusers with the extension pageinspect have it counted from the pages of the index; the last range, which is not full, may always
lack its summary. Without that it is estimated from the rows inserted since the last VACUUM, and only where nothing else summarizes:
autosummarize is off for the index, or autovacuum is off for the server. The evidence says which. The estimate is wrong when the
index was built after the rows came in and no VACUUM has run since. Where autosummarize and autovacuum are on, what is counted is a note:
after a load they need a minute, but requests get lost when more than 256 are open.

autosummarize cannot be set on the index of a partitioned table once it is there (PostgreSQL refuses), but on that of each partition.`,
  thresholds: {
    percent: {
      value: 10,
      unit: 'percent',
      source: 'Of the pages of a partition; autovacuum by itself comes when a fifth has been inserted',
    },
    bytes: {
      value: 8_388_608,
      unit: 'bytes',
      source:
        'Of a partition; some milliseconds for each query that scans them, and eight ranges of the default size',
    },
  },
  opens: true,
  look: async (scene) => {
    const brins = await readBrins(scene);
    if (brins.length === 0) return { found: [] };
    const states = await judge(scene, brins);
    const bad = states.filter(
      ({ brin, pages }) =>
        pages * brin.blockSize >= scene.threshold('bytes') &&
        pages >= (scene.threshold('percent') / 100) * brin.heapPages,
    );
    return { found: [...groupBy(bad, ({ brin }) => brin.rootIndex).values()].map(describe) };
  },
};

interface State {
  readonly brin: Brin;
  /** Pages without a summary. */
  readonly pages: number;
  readonly method: 'measured' | 'inserted since the last vacuum';
  /** An autovacuum worker has been asked to summarize, and is due within autovacuum_naptime. */
  readonly isDue: boolean;
}

async function judge(scene: Scene, brins: readonly Brin[]): Promise<readonly State[]> {
  const { pageinspect } = scene.capabilities;
  const autovacuum = await readAutovacuum(scene);
  if (pageinspect !== null) {
    const summarized = new Map(
      (await readSummarized(scene, pageinspect, brins)).map((one) => [one.oid, one.summarized]),
    );
    return brins.map((brin) => {
      const full = Math.floor(brin.heapPages / brin.pagesPerRange);
      const pages = Math.max(0, full - (summarized.get(brin.oid) ?? 0)) * brin.pagesPerRange;
      return { brin, pages, method: 'measured', isDue: brin.autosummarize && autovacuum };
    });
  }
  return brins
    .filter(({ autosummarize }) => !autosummarize || !autovacuum)
    .map((brin) => ({
      brin,
      pages: insertedPages(brin),
      method: 'inserted since the last vacuum',
      isDue: false,
    }));
}

/** The pages that the rows fill which were inserted since the last VACUUM, in full ranges. */
function insertedPages(brin: Brin): number {
  const { insertedSinceVacuum, rowsPerPage, heapPages, pagesPerRange } = brin;
  const pages = Math.min(heapPages, insertedSinceVacuum / (rowsPerPage ?? Number.POSITIVE_INFINITY));
  return Math.floor(pages / pagesPerRange) * pagesPerRange;
}

function describe(group: readonly State[]): Found {
  const [{ brin, method }] = group as [State];
  const { rootIndex, rootTable, index } = brin;
  const sum = (of: (state: State) => number): number => group.reduce((total, state) => total + of(state), 0);
  const bytes = Math.round(sum(({ pages }) => pages) * brin.blockSize);
  const off = group.filter((one) => !one.brin.autosummarize).length;
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  const isDue = group.every((one) => one.isDue);
  const how =
    off > 0
      ? ' autosummarize is off.'
      : isDue
        ? ' autovacuum is due to make it within a minute or so; if it does not, it has lost track.'
        : '';
  const about = method === 'measured' ? '' : 'about ';
  return {
    severity: isDue ? 'info' : 'warning',
    object: rootIndex,
    message: `${rootIndex} has no summary of ${about}${prettyBytes(bytes)} of ${rootTable}${where}: every query through it reads them.${how}`,
    evidence: {
      table: rootTable,
      indexes: firstFew(group.map((one) => one.brin.index)),
      partitions: rootIndex === index ? null : group.length,
      method,
      unsummarizedBytes: bytes,
      unsummarizedPercent: Math.round((100 * sum(({ pages }) => pages)) / sum((one) => one.brin.heapPages)),
      withoutAutosummarize: off,
    },
    fixes: group.flatMap(fixesOf),
  };
}

function fixesOf({ brin, method }: State): readonly Fix[] {
  const { index, table, autosummarize } = brin;
  return [
    ...(autosummarize ? [] : [sqlFix('setting', `alter index ${index} set (autosummarize = on)`)]),
    method === 'measured'
      ? sqlFix('vacuum', `select brin_summarize_new_values(${quoteLiteral(index)}::regclass)`)
      : sqlFix('vacuum', `vacuum ${table}`),
  ];
}
