import { groupBy } from '../../partitions/drift.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Check, Found } from '../check.ts';
import { sqlFix } from '../fix.ts';
import { rangesOf } from '../indexes/brin-order.ts';
import { type Brin, readBrins } from '../indexes/brins.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds BRIN indexes whose ranges are too large or too small for their tables. */
export const brinPagesPerRange: Check = {
  name: 'brin_pages_per_range',
  area: 'indexes',
  finds: 'BRIN indexes whose pages_per_range does not fit the size of the table',
  explanation: `A query through a BRIN index reads the whole index, and then whole ranges of pages. With ranges that are large for the table, it has few of
them: a query reads a large part of the table whatever it asks for. With tiny ranges the index itself becomes large, and every query
reads it from end to end.

Told by sizes alone: fewer ranges than least_ranges on a table of 16 MB and more whose ranges are larger than the default, or an index of
at least index_bytes that takes more than a four-hundredth of the table. The default of 128 pages makes it some thirty-thousandth. The fix
sets another size on the partitions concerned; the index of the partitioned table keeps its own, which new partitions follow.`,
  thresholds: {
    least_ranges: {
      value: 16,
      unit: 'ranges',
      source: 'With sixteen, a query for one instant reads a sixteenth of the table',
    },
    index_bytes: {
      value: 1_048_576,
      unit: 'bytes',
      source: '128 pages, which every query reads; so much are 37,000 ranges of a timestamp',
    },
  },
  opens: true,
  look: async (scene) => {
    const least = scene.threshold('least_ranges');
    const bad = (await readBrins(scene)).flatMap((brin): readonly Misfit[] => {
      const tableBytes = brin.heapPages * brin.blockSize;
      if (brin.pagesPerRange > DEFAULT_PAGES && tableBytes >= LEAST_TABLE && rangesOf(brin) < least) {
        return [{ brin, is: 'too large' }];
      }
      const isFine = brin.bytes >= scene.threshold('index_bytes') && brin.bytes * 400 > tableBytes;
      return isFine && brin.pagesPerRange < FINE_PAGES ? [{ brin, is: 'too small' }] : [];
    });
    return {
      found: [...groupBy(bad, ({ brin, is }) => `${brin.rootIndex}\n${is}`).values()].map(describe),
    };
  },
};

const DEFAULT_PAGES = 128;
const FINE_PAGES = 16;
const LEAST_TABLE = 16_777_216;

interface Misfit {
  readonly brin: Brin;
  readonly is: 'too large' | 'too small';
}

function describe(group: readonly Misfit[]): Found {
  const [{ brin, is }] = group as [Misfit];
  const { rootIndex, rootTable, index, table, pagesPerRange, bytes } = brin;
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  const count = rangesOf(brin);
  const why =
    is === 'too large'
      ? `${table} has only ${count} full ${count === 1 ? 'range' : 'ranges'}, and each query reads one at least`
      : `it takes ${prettyBytes(bytes)} on ${table}, which each query reads whole`;
  const wanted = is === 'too large' ? DEFAULT_PAGES : FINE_PAGES;
  return {
    severity: 'info',
    object: rootIndex,
    key: is,
    message: `The ranges of ${rootIndex} are ${is}${where}: with ${pagesPerRange} pages a range, ${why}.`,
    evidence: {
      table: rootTable,
      indexes: firstFew(group.map((one) => one.brin.index)),
      partitions: rootIndex === index ? null : group.length,
      pagesPerRange,
      ranges: count,
      bytes,
    },
    fixes: group.flatMap((one) => [
      sqlFix('setting', `alter index ${one.brin.index} set (pages_per_range = ${wanted})`),
      sqlFix('reindex', `reindex index concurrently ${one.brin.index}`),
    ]),
  };
}
