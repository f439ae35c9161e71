import { quoteLiteral } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { isForgotten, readSummaries, ripeAt, type Summaries } from '../indexes/brin-summaries.ts';
import { readBrins } from '../indexes/brins.ts';
import { firstFew, partitions } from '../indexes/tree.ts';

/** Finds BRIN indexes that do not know much of their table. */
export const brinUnsummarized: Check = {
  name: 'brin_unsummarized',
  area: 'indexes',
  finds: 'BRIN indexes that leave a large part of their table unsummarized',
  explanation: `A BRIN index holds a summary for each range of pages. New ranges get theirs from VACUUM, or as they fill when autosummarize is on (off
by default), by an autovacuum worker. Every query through the index reads whatever has no summary yet: most often the newest rows, which
are asked for most.

Superusers with the extension pageinspect have it counted from the pages of the index; the last range, which is not full, may always
lack its summary. Where autosummarize and autovacuum are on, what is counted is a note, for after a load they need a minute. It is a
warning where they will not come any more: the server remembers 256 requests and drops the others, and there was never one for ranges
that were full when autosummarize was set. Told by ranges before one that has its summary, by more than 256 of one index, and by rows
that an ANALYZE has seen that is long ago. Then a VACUUM summarizes them, or the fix; autovacuum comes when enough was inserted.

Without that it is estimated from the rows inserted since the last VACUUM. Where few were, all is well; where many were, and nothing else
summarizes (autosummarize is off for the index, or autovacuum for the server), that is reported as an estimate. Where autosummarize may
have done it or not, it is not yet known while a VACUUM is to be expected, for it makes sure, and unknown after that. The estimate is
wrong when the index was built after the rows came in and no VACUUM has run since, and after a VACUUM that left out the indexes. Where the
statistics were lost, it waits for the next VACUUM.

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
    hours: {
      value: 3,
      unit: 'hours since the last ANALYZE',
      source: 'Requests wait for autovacuum_naptime, a minute, or as long as all workers are busy elsewhere',
    },
    vacuum_days: {
      value: 7,
      unit: 'days since the last VACUUM',
      source:
        'A monthly partition grows by a fifth, at which autovacuum comes, in five days before it is over',
    },
  },
  opens: true,
  look: async (scene) => {
    const brins = (await readBrins(scene)).filter(
      ({ heapPages, blockSize }) => heapPages * blockSize >= scene.threshold('bytes'),
    );
    if (brins.length === 0) return { found: [] };
    const states = await readSummaries(scene, brins);
    const isLarge = ({ brin }: Summaries, pages: number): boolean =>
      pages * brin.blockSize >= scene.threshold('bytes') &&
      pages >= (scene.threshold('percent') / 100) * brin.heapPages;
    const large = states.filter((one) => isLarge(one, one.pages));
    const bad = large
      .filter(({ isUnclear }) => !isUnclear)
      .map((one) => ({ ...one, cause: causeOf(one, isLarge(one, one.lostPages)) }));
    const ripe = await ripeAt(
      scene,
      large.filter(({ isUnclear }) => isUnclear),
    );
    const unclear = [...ripe].filter(([, at]) => at === undefined).map(([one]) => one);
    const found = [
      ...[...groupBy(bad, ({ brin, cause }) => JSON.stringify([brin.rootIndex, cause])).values()].map(
        describe,
      ),
      ...(unclear.length === 0 ? [] : [describeUnclear(unclear)]),
    ];
    const waits = [
      ...[...ripe.values()].filter((at) => at !== undefined),
      ...(states.some(isForgotten) ? [null] : []),
    ];
    return waits.length === 0 ? { found } : { found, ripeAt: latest(waits) };
  },
};

/** When all will be known; null: nobody can say. */
function latest(dates: readonly (Date | null)[]): Date | null {
  return dates.reduce((a, b) => (a === null || b === null ? null : a > b ? a : b));
}

/** Why the summaries are missing. */
type Cause = 'off' | 'no_autovacuum' | 'lost' | 'due';

function causeOf({ brin, isServed }: Summaries, isLost: boolean): Cause {
  if (!brin.autosummarize) return 'off';
  if (!isServed) return 'no_autovacuum';
  return isLost ? 'lost' : 'due';
}

const CAUSES: Readonly<Record<Cause, string>> = {
  off: 'autosummarize is off.',
  no_autovacuum: 'autosummarize is on, but autovacuum, which does it, is off.',
  lost: 'autosummarize is on, but its requests were lost, or never made for ranges that were full before: it does not make up for them.',
  due: 'autovacuum is due to make it within a minute or so.',
};

function describe(group: readonly (Summaries & { readonly cause: Cause })[]): Found {
  const [{ brin, method, cause }] = group as [Summaries & { readonly cause: Cause }];
  const { rootIndex, rootTable, index } = brin;
  const sum = (of: (state: Summaries) => number): number =>
    group.reduce((total, state) => total + of(state), 0);
  const bytes = Math.round(sum(({ pages }) => pages) * brin.blockSize);
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  const about = method === 'measured' ? '' : 'about ';
  return {
    severity: cause === 'due' ? 'info' : 'warning',
    object: rootIndex,
    key: cause,
    message: `${rootIndex} has no summary of ${about}${prettyBytes(bytes)} of ${rootTable}${where}: every query through it reads them. ${CAUSES[cause]}`,
    evidence: {
      table: rootTable,
      indexes: firstFew(group.map((one) => one.brin.index)),
      partitions: rootIndex === index ? null : group.length,
      method,
      cause,
      unsummarizedBytes: bytes,
      unsummarizedPercent: Math.round((100 * sum(({ pages }) => pages)) / sum((one) => one.brin.heapPages)),
    },
    fixes: group.flatMap(fixesOf),
  };
}

/** Reports what nobody can tell without looking into the pages of the indexes. */
function describeUnclear(unclear: readonly Summaries[]): Found {
  const [{ brin, method }] = unclear as [Summaries];
  const many = new Set(unclear.map((one) => one.brin.rootIndex)).size;
  const needs = 'superuser and pageinspect, or a VACUUM';
  return {
    severity: 'unknown',
    object: brin.rootIndex,
    key: 'unclear',
    message: `Could not be checked${many === 1 ? '' : `, as ${many - 1} more could not`}: much was inserted since the last VACUUM, and whether autosummarize has kept up is not to be seen. It needs ${needs}.`,
    evidence: {
      needs,
      method,
      indexes: firstFew(unclear.map((one) => one.brin.index)),
      partitions: unclear.length,
      logicalIndexes: many,
    },
    fixes: [],
  };
}

function fixesOf({ brin, method }: Summaries): readonly Fix[] {
  const { index, table, autosummarize } = brin;
  return [
    ...(autosummarize ? [] : [sqlFix('setting', `alter index ${index} set (autosummarize = on)`)]),
    method === 'measured'
      ? sqlFix('vacuum', `select brin_summarize_new_values(${quoteLiteral(index)}::regclass)`)
      : sqlFix('vacuum', `vacuum ${table}`),
  ];
}
