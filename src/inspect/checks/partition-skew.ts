import { sql } from 'kysely';
import { isBounded } from '../../partitions/coverage.ts';
import { prettyBytes } from '../../partitions/pretty-bytes.ts';
import { fromDate } from '../../time/instant.ts';
import type { Check, Found } from '../check.ts';
import type { Scene } from '../scene.ts';
import type { TimeLeaf, TimeTable } from '../time-table.ts';
import { readTimeTables } from '../time-tables.ts';

/** So many partitions before and after one are what it is compared with. */
const AROUND = 6;

/** Finds partitions that are many times as large as those before and after them. */
export const partitionSkew: Check = {
  name: 'partition_skew',
  area: 'partitions',
  finds: 'partitions that are out of proportion with those before and after them',
  explanation: `A month with many times the bytes of its neighbours was loaded twice, holds what a clock that stood still sent, or is
bloated; or very much happened. Whichever it is, queries and maintenance of that partition take as many times as long.

Only partitions that are over by now count, and only those with rows. Each is compared with the median of six on either side,
by bytes in a day, so that it may be longer or shorter than they, and a table may grow over the years; and it must stand out
from its two neighbours, so that the first month of a larger fleet is reported once at most. The size is that of the table
without its indexes, as the last VACUUM or ANALYZE counted it, or by a look at the file where very much was written since.

There is no fix, since the right one depends on where the bytes come from. Count the rows of each hour and of each device: one of them
that stands out is a clock that stood still, or a device that sends too much, and its rows can be deleted. If each row stands twice
(SELECT id … GROUP BY id HAVING count(*) > 1; duplicate_ids looks for that), delete the second load. If the rows are as many as in
other partitions, the rest is dead (dead_rows tells): VACUUM lets it be used again, VACUUM FULL gives it back, under ACCESS EXCLUSIVE.`,
  thresholds: {
    ratio: {
      value: 5,
      unit: 'times the median around it',
      source: 'months differ by a tenth by their days, fleets by a multiple over years',
    },
    minimum_bytes: {
      value: 67_108_864,
      unit: 'bytes',
      source: '64 MiB: half of the default shared_buffers, below which nobody waits for it',
    },
    minimum_partitions: { value: 3, unit: 'partitions', source: 'a median of fewer says nothing' },
  },
  opens: true,
  look: async (scene) => {
    const now = fromDate(scene.now);
    const tables = await readTimeTables(scene);
    const over = tables.map((table) => ({
      table,
      leaves: table.leaves.filter(
        ({ range, isPlain, state }) =>
          isPlain && state === 'attached' && isBounded(range) && range.upper <= now,
      ),
    }));
    const enough = over.filter(({ leaves }) => leaves.length > scene.threshold('minimum_partitions'));
    const sizes = await readSizes(
      scene,
      enough.flatMap(({ leaves }) => leaves.map(({ oid }) => oid)),
    );
    return { found: enough.flatMap(({ table, leaves }) => judge(scene, table, leaves, sizes)) };
  },
};

async function readSizes(
  { session, locked }: Scene,
  oids: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  if (oids.length === 0) return new Map();
  const { rows } = await sql<{ oid: number; bytes: string }>`
    with leaf as materialized (
      select c.oid, c.relpages, t.relpages as toast_pages, nullif(c.reltoastrelid, 0) as toast,
             pg_stat_get_mod_since_analyze(c.oid) > 0.1 * greatest(c.reltuples, 0) as is_stale
        from unnest(${`{${oids.join()}}`}::oid[]) o (oid)
        join pg_class c on c.oid = o.oid
        left join pg_class t on t.oid = c.reltoastrelid
       where c.oid <> all (${locked}::oid[])
    )
    select l.oid,
           case when l.is_stale then pg_relation_size(l.oid) + coalesce(pg_relation_size(l.toast), 0)
                else (l.relpages + coalesce(l.toast_pages, 0))::int8 * current_setting('block_size')::int8 end::text as bytes
      from leaf l`.execute(session.db);
  return new Map(rows.map(({ oid, bytes }) => [oid, Number(bytes)]));
}

interface Sized {
  readonly leaf: TimeLeaf;
  readonly bytes: number;
  /** In a day. */
  readonly density: number;
}

function judge(
  scene: Scene,
  table: TimeTable,
  leaves: readonly TimeLeaf[],
  sizes: ReadonlyMap<number, number>,
): readonly Found[] {
  const filled = leaves.flatMap((leaf): readonly Sized[] => {
    const bytes = sizes.get(leaf.oid) ?? 0;
    const days = Number(leaf.range.upper - leaf.range.lower) / 86_400_000_000;
    return bytes === 0 ? [] : [{ leaf, bytes, density: bytes / days }];
  });
  const [ratio, least] = [scene.threshold('ratio'), scene.threshold('minimum_partitions')];
  return filled.flatMap((one, at) => {
    const around = [...filled.slice(Math.max(0, at - AROUND), at), ...filled.slice(at + 1, at + 1 + AROUND)];
    if (one.bytes < scene.threshold('minimum_bytes') || around.length < least) return [];
    const times = one.density / median(around.map(({ density }) => density));
    const next = Math.max(filled[at - 1]?.density ?? 0, filled[at + 1]?.density ?? 0);
    return times >= ratio && one.density >= 2 * next ? [found(table, one, times)] : [];
  });
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function found(table: TimeTable, { leaf, bytes }: Sized, times: number): Found {
  const usual = Math.round(bytes / times);
  return {
    severity: 'info',
    object: leaf.qualified,
    message: `${leaf.qualified} of ${table.qualified} has ${prettyBytes(bytes)}, ${Math.round(times)} times the ${prettyBytes(usual)} that the partitions around it would have in the same time.`,
    evidence: { parent: table.qualified, bytes, usualBytes: usual, times: Math.round(times * 10) / 10 },
    fixes: [],
  };
}
