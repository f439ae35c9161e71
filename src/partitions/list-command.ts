import type { Context } from '../cli/context.ts';
import { EXIT } from '../cli/exit-codes.ts';
import type { GlobalOptions } from '../cli/options.ts';
import type { Outcome, Warning } from '../cli/output.ts';
import { withSession } from '../cli/with-session.ts';
import { type PartitionedTable, readPartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { reading } from '../db/transaction.ts';
import { formatInstant, fromDate, type Instant } from '../time/instant.ts';
import { gapsOf, runwayOf } from './coverage.ts';
import { readDetachedIfAllowed } from './detached.ts';
import { countDefaultRows, readStatistics } from './list-read.ts';
import { renderList } from './list-render.ts';
import {
  type ListedDetached,
  type ListedPartition,
  type PartitionList,
  toListed,
  toListedDetached,
} from './list-view.ts';
import { coveredRanges, readPartitions } from './read.ts';
import { runwayData } from './runway.ts';

/** The options of `partitions list`. */
export interface ListOptions extends GlobalOptions {
  readonly table: string;
}

/** Runs `partitions list`. */
export async function listCommand(context: Context, options: ListOptions): Promise<Outcome> {
  return await withSession(context, options, async ({ session, warnings }) => {
    const table = await reading(session, () => readPartitionedTable(session, options.table));
    const now = fromDate(context.now());
    const { list, problems } = await readList(session, table, now);
    return outcomeOf(list, now, [...warnings, ...problems]);
  });
}

async function readList(
  session: Session,
  table: PartitionedTable,
  now: Instant,
): Promise<{ readonly list: PartitionList; readonly problems: readonly Warning[] }> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const { leaves, default: byDefault } = partitions;
  const { detached, problem } = await readStillDetached(session, table);
  const oids = [...leaves, ...(byDefault === null ? [] : [byDefault]), ...detached].map(({ oid }) => oid);
  const statistics = await readStatistics(session, oids);
  const defaultCount =
    partitions.default === null ? null : await countDefaultRows(session, partitions.default);
  const covered = coveredRanges(partitions.leaves);
  const list: PartitionList = {
    table,
    partitions: toListed(table, partitions, statistics),
    detached: toListedDetached(detached, statistics),
    gaps: gapsOf(covered),
    runway: runwayOf(covered, now),
    covered,
    defaultRows: defaultCount?.rows ?? null,
    defaultRowsExact: defaultCount?.exact ?? true,
    hasDefault: partitions.default !== null,
  };
  const notCounted = defaultCount?.problem ?? null;
  const problems = [
    ...(notCounted === null ? [] : [{ code: 'default_not_counted', message: notCounted }]),
    ...(problem === null ? [] : [{ code: 'detached_not_read', message: problem }]),
  ];
  return { list, problems };
}

async function readStillDetached(session: Session, table: PartitionedTable) {
  const detached = await readDetachedIfAllowed(session, table);
  if (detached !== null) return { detached: detached.filter(({ isAttached }) => !isAttached), problem: null };
  const problem = `Role ${session.server.user} may not read sensordb.detached_leaf: detached leaves are not listed.`;
  return { detached: [], problem };
}

function outcomeOf(list: PartitionList, now: Instant, warnings: readonly Warning[]): Outcome {
  const { table, gaps, runway, defaultRows, defaultRowsExact } = list;
  return {
    exitCode: EXIT.done,
    changed: false,
    data: {
      table: { schema: table.schema, name: table.name },
      partitions: list.partitions.map(partitionData),
      detached: list.detached.map(detachedData),
      ...runwayData(runway),
      gaps: gaps.map(({ lower, upper }) => ({ lower: formatInstant(lower), upper: formatInstant(upper) })),
      defaultRows,
      defaultRowsExact,
    },
    warnings,
    error: null,
    render: (style) => renderList(style, list, now),
  };
}

function partitionData(partition: ListedPartition) {
  const { schema, name, parent, range, isDefault, state, rowsEstimate, bytes } = partition;
  return {
    schema,
    name,
    parent,
    lower: range === null ? null : formatInstant(range.lower),
    upper: range === null ? null : formatInstant(range.upper),
    isDefault,
    state,
    rowsEstimate,
    bytes,
  };
}

function detachedData({ schema, name, range, detachedAt, detachedBy, bytes }: ListedDetached) {
  const [lower, upper] = [formatInstant(range.lower), formatInstant(range.upper)];
  return { schema, name, lower, upper, detachedAt: formatInstant(detachedAt), detachedBy, bytes };
}
