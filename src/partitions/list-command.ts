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
import { countDefaultRows, type DefaultCount, readStatistics } from './list-read.ts';
import { renderList } from './list-render.ts';
import { type ListedPartition, type PartitionList, toListed } from './list-view.ts';
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
    const { list, defaultCount } = await readList(session, table, now);
    return outcomeOf(list, defaultCount, now, warnings);
  });
}

async function readList(
  session: Session,
  table: PartitionedTable,
  now: Instant,
): Promise<{ readonly list: PartitionList; readonly defaultCount: DefaultCount | null }> {
  const partitions = await reading(session, () => readPartitions(session, table));
  const { leaves, default: byDefault } = partitions;
  const oids = [...leaves, ...(byDefault === null ? [] : [byDefault])].map(({ oid }) => oid);
  const statistics = await readStatistics(session, oids);
  const defaultCount =
    partitions.default === null ? null : await countDefaultRows(session, partitions.default);
  const covered = coveredRanges(partitions.leaves);
  const list: PartitionList = {
    table,
    partitions: toListed(table, partitions, statistics),
    gaps: gapsOf(covered),
    runway: runwayOf(covered, now),
    covered,
    defaultRows: defaultCount?.rows ?? null,
    defaultRowsExact: defaultCount?.exact ?? true,
    hasDefault: partitions.default !== null,
  };
  return { list, defaultCount };
}

function outcomeOf(
  list: PartitionList,
  defaultCount: DefaultCount | null,
  now: Instant,
  warnings: readonly Warning[],
): Outcome {
  const problem = defaultCount?.problem ?? null;
  const { table, gaps, runway, defaultRows, defaultRowsExact } = list;
  return {
    exitCode: EXIT.done,
    changed: false,
    data: {
      table: { schema: table.schema, name: table.name },
      partitions: list.partitions.map(partitionData),
      ...runwayData(runway),
      gaps: gaps.map(({ lower, upper }) => ({ lower: formatInstant(lower), upper: formatInstant(upper) })),
      defaultRows,
      defaultRowsExact,
    },
    warnings: problem === null ? warnings : [...warnings, { code: 'default_not_counted', message: problem }],
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
