import { groupBy } from '../../partitions/drift.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import type { Check, Found, Look } from '../check.ts';
import { sqlFix } from '../fix.ts';
import { type Btree, measureBtrees, readBtrees } from '../indexes/btrees.ts';
import { type Density, estimateDensity } from '../indexes/density.ts';
import { firstFew, partitions } from '../indexes/tree.ts';
import type { Scene } from '../scene.ts';

/** Finds B-tree indexes most of whose space is empty. */
export const indexBloat: Check = {
  name: 'index_bloat',
  area: 'indexes',
  finds: 'B-tree indexes that are less than half full, where that wastes room worth speaking of',
  explanation: `Deletes and updates leave room in an index that later rows use only where they sort into the same pages. A table from which most rows
were deleted keeps the size of its indexes; queries and the cache pay for that. REINDEX CONCURRENTLY packs them anew.

It is known in one of three ways, which the evidence names. Measured: pgstatindex of the extension pgstattuple reads all pages of the
index; the largest and most suspicious first, as many as measure_bytes allow. From types: the size that the rows need is calculated, since all
columns have a fixed width. From statistics: the same with the average widths in pg_stats. Rows that are deleted but not vacuumed
count as rows.

The calculation leaves deduplication out, so an index on few distinct values may be emptier than it says, never fuller. An index into
which rows come in the order of time per device is some 65 % full when it is new: that is no bloat. fillfactor is allowed for. Where
the statistics cannot be seen it is unknown, where they are too old it is not yet known, unless it could be measured.`,
  thresholds: {
    percent: {
      value: 50,
      unit: 'percent',
      source:
        'An index on (device_id, timestamp) is 65 % full when it is new (measured on 15 and 18), one that is half as full as REINDEX makes it 45 %',
    },
    wasted_bytes: {
      value: 10_485_760,
      unit: 'bytes',
      source:
        'Over all partitions; as in pgexperts’ scripts and pg_index_watch, which look at nothing below 10 MB',
    },
    measure_bytes: {
      value: 134_217_728,
      unit: 'bytes',
      source: 'What pgstatindex reads in some tenths of a second; 0: measure nothing',
    },
  },
  opens: true,
  look,
};

/** Smaller ones waste too little to matter, a thousand of them not even that. */
const LEAST_BYTES = 1_048_576;

interface Judged {
  readonly btree: Btree;
  readonly density: Density | null;
}

async function look(scene: Scene): Promise<Look> {
  const wasted = scene.threshold('wasted_bytes');
  const btrees = await readBtrees(scene, Math.min(LEAST_BYTES, wasted));
  const judged = await measure(
    scene,
    btrees.map((btree) => ({ btree, density: estimateDensity(btree) })),
  );
  const limit = scene.threshold('percent');
  const bloated = judged.filter(({ btree, density }) => {
    // What is as full as its fillfactor lets it be is full.
    return density !== null && density.percent < (limit * btree.fillfactor) / 90;
  });
  const groups = [...groupBy(bloated, ({ btree }) => btree.rootIndex).values()];
  const found = groups.filter((group) => wasteOf(group) >= wasted).map(describe);
  // One that is smaller cannot waste as much.
  const unjudged = judged.filter(({ btree, density }) => density === null && btree.bytes >= wasted);
  const hidden = unjudged.filter(({ btree }) => btree.rows !== null);
  const look: Look = { found: hidden.length === 0 ? found : [...found, describeHidden(hidden)] };
  return unjudged.length > hidden.length ? { ...look, ripeAt: null } : look;
}

/** Measures those that are suspicious, that could not be judged, and then the largest, as far as the budget goes. */
async function measure(scene: Scene, estimated: readonly Judged[]): Promise<readonly Judged[]> {
  const { pgstattuple } = scene.capabilities;
  if (pgstattuple === null) return estimated;
  const limit = scene.threshold('percent');
  const rank = ({ density }: Judged): number => (density === null ? 1 : density.percent < limit ? 0 : 2);
  let budget = scene.threshold('measure_bytes');
  const chosen = estimated
    .toSorted((a, b) => rank(a) - rank(b) || b.btree.bytes - a.btree.bytes)
    .filter(({ btree }) => {
      const isWithin = btree.bytes <= budget;
      if (isWithin) budget -= btree.bytes;
      return isWithin;
    });
  if (chosen.length === 0) return estimated;
  const measured = await measureBtrees(
    scene,
    pgstattuple,
    chosen.map(({ btree }) => btree.oid),
  );
  const densities = new Map(measured.map(({ oid, density }) => [oid, density]));
  return estimated.map((one): Judged => {
    const percent = densities.get(one.btree.oid);
    return percent === undefined ? one : { btree: one.btree, density: { percent, method: 'measured' } };
  });
}

/** What REINDEX would give back. */
function wasteOf(group: readonly Judged[]): number {
  return group.reduce((sum, { btree, density }) => {
    const full = (density?.percent ?? btree.fillfactor) / btree.fillfactor;
    return sum + btree.bytes * Math.max(0, 1 - full);
  }, 0);
}

function describe(group: readonly Judged[]): Found {
  const [{ btree }] = group as [Judged];
  const { rootIndex, rootTable, index } = btree;
  const worst = group.toSorted((a, b) => (a.density?.percent ?? 0) - (b.density?.percent ?? 0))[0];
  const percent = Math.round(worst?.density?.percent ?? 0);
  const method = worst?.density?.method ?? null;
  const where = rootIndex === index ? '' : ` on ${partitions(group.length)}`;
  const how = method === 'measured' ? '' : `, calculated ${method}`;
  return {
    severity: 'warning',
    object: rootIndex,
    message: `${rootIndex} is only ${percent} % full${where}${how}: ${prettyBytes(wasteOf(group))} of it are empty.`,
    evidence: {
      table: rootTable,
      indexes: firstFew(group.map((one) => one.btree.index)),
      partitions: rootIndex === index ? null : group.length,
      densityPercent: percent,
      method,
      bytes: group.reduce((sum, one) => sum + one.btree.bytes, 0),
      wastedBytes: Math.round(wasteOf(group)),
    },
    fixes: group.map((one) => sqlFix('reindex', `reindex index concurrently ${one.btree.index}`)),
  };
}

function describeHidden(hidden: readonly Judged[]): Found {
  const [{ btree }] = hidden as [Judged];
  const many = new Set(hidden.map((one) => one.btree.rootIndex)).size;
  const needs = 'SELECT on the table, pg_read_all_data, or pgstattuple and pg_stat_scan_tables';
  return {
    severity: 'unknown',
    object: btree.rootIndex,
    message: `Could not be checked${many === 1 ? '' : `, as ${many - 1} more could not`}: the statistics of its columns are not to be seen. It needs ${needs}.`,
    evidence: { needs, indexes: firstFew(hidden.map((one) => one.btree.index)), logicalIndexes: many },
    fixes: [],
  };
}
