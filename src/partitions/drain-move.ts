import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { formatBound } from '../time/instant.ts';
import type { NewLeaf } from './ensure-plan.ts';
import type { DefaultPartition } from './read.ts';

// The statements that move rows stand here and not in sql/partitions/: they name every column, since DEFAULT may have them in
// another order than the leaf, and generated ones cannot be written. Nothing of a placeholder's kind holds such a list.

/** One period's rows on their way from DEFAULT into a table of their own, which then becomes a leaf. */
export interface Move {
  readonly table: PartitionedTable;
  readonly default: DefaultPartition;
  /** What the leaf will be. */
  readonly leaf: NewLeaf;
  /** What the table is called until it is one. */
  readonly aside: string;
  /** The columns that can be written, in the parent's order. */
  readonly columns: readonly string[];
}

/** Blocks of DEFAULT, from the first up to the last (exclusive). */
export interface Blocks {
  readonly first: number;
  readonly last: number;
}

/** Spells the two tables and what chooses the rows. */
function spell({ table, default: from, leaf, aside, columns }: Move) {
  const key = quoteIdentifier(table.key);
  const [lower, upper] = [leaf.range.lower, leaf.range.upper].map((end) =>
    quoteLiteral(formatBound(end, table.keyType)),
  );
  const target = qualifiedName(table.schema, aside);
  return {
    source: qualifiedName(from.schema, from.name),
    target,
    columns: columns.map(quoteIdentifier).join(', '),
    ofSource: columns.map((column) => `d.${quoteIdentifier(column)}`).join(', '),
    inPeriod: `d.${key} >= ${lower} and d.${key} < ${upper}`,
    drainId: `(select r.id from sensordb.drain r where r.leaf_oid = ${quoteLiteral(target)}::regclass and r.state in ('copying', 'indexed'))`,
  };
}

/**
 * Copies rows of the period in some blocks of DEFAULT, or in all, and notes which version went where.
 *
 * Both row_number() count in one order: rows are inserted, and returned, in the order in which they are selected.
 */
export function copyStatement(move: Move, blocks: Blocks | null): string {
  const { source, target, columns, ofSource, inPeriod, drainId } = spell(move);
  const inBlocks = blocks === null ? '' : within('d.ctid', blocks);
  return `with source as materialized (
  select d.ctid as sensordb_source, d.xmin as sensordb_xmin, row_number() over () as sensordb_n, ${ofSource}
    from ${source} d where ${inPeriod}${inBlocks}
), copied as (
  insert into ${target} (${columns}) select ${columns} from source order by sensordb_n returning ctid
), numbered as (
  select c.ctid as leaf, row_number() over () as n from copied c
)
insert into sensordb.drain_row (drain_id, source, source_xmin, leaf)
select ${drainId}, s.sensordb_source, s.sensordb_xmin, c.leaf
  from source s join numbered c on c.n = s.sensordb_n`;
}

/**
 * Brings the copies up to date: removes those of versions that are gone from DEFAULT, then copies the versions that are
 * new; one snapshot, so that no unique index sees an old and a new version of one row.
 */
export function catchUpStatement(move: Move): string {
  const { source, target, columns, ofSource, inPeriod, drainId } = spell(move);
  return `with source as materialized (
  select d.ctid as sensordb_source, d.xmin as sensordb_xmin, row_number() over () as sensordb_n, ${ofSource}
    from ${source} d
   where ${inPeriod} and not exists (
     select from sensordb.drain_row m
      where m.drain_id = ${drainId} and m.source = d.ctid and m.source_xmin = d.xmin)
), stale as (
  delete from sensordb.drain_row m
   where m.drain_id = ${drainId} and not exists (
     select from ${source} d where ${inPeriod} and d.ctid = m.source and d.xmin = m.source_xmin)
  returning m.leaf
), removed as (
  delete from ${target} l where l.ctid = any (array(select s.leaf from stale s)) returning 1
), copied as (
  insert into ${target} (${columns}) select ${columns} from source where (select count(*) from removed) >= 0
   order by sensordb_n returning ctid
), numbered as (
  select c.ctid as leaf, row_number() over () as n from copied c
)
insert into sensordb.drain_row (drain_id, source, source_xmin, leaf)
select ${drainId}, s.sensordb_source, s.sensordb_xmin, c.leaf
  from source s join numbered c on c.n = s.sensordb_n`;
}

/**
 * Deletes from DEFAULT what is copied and unchanged since, and the copies of what is not; gives the number that is moved.
 *
 * Rows that changed since stay for `tailStatement`: they are the ones that are most likely to change again, and whoever
 * wants to change a row that this deletes waits for the end of the transaction. What was noted is of no use afterwards.
 */
export function moveStatement(move: Move, blocks: Blocks | null): string {
  const { source, target, inPeriod, drainId } = spell(move);
  const inBlocks = blocks === null ? '' : within('m.source', blocks);
  return `with gone as (
  delete from ${source} d using sensordb.drain_row m
   where m.drain_id = ${drainId}${inBlocks} and m.source = d.ctid and m.source_xmin = d.xmin and ${inPeriod}${
     blocks === null ? '' : within('d.ctid', blocks)
   }
  returning m.leaf
), noted as (
  delete from sensordb.drain_row m where m.drain_id = ${drainId}${inBlocks} returning m.leaf
), removed as (
  delete from ${target} l
   where l.ctid = any (array(select n.leaf from noted n where not exists (select from gone g where g.leaf = n.leaf)))
  returning 1
)
select (select count(*) from gone)::float8 as moved, (select count(*) from removed)::float8 as removed`;
}

function within(column: string, { first, last }: Blocks): string {
  return ` and ${column} >= '(${first},0)' and ${column} < '(${last},0)'`;
}

/** Moves the rest: rows that came or changed since they were copied; gives their number. */
export function tailStatement(move: Move): string {
  const { source, target, columns, ofSource, inPeriod } = spell(move);
  return `with gone as (
  delete from ${source} d where ${inPeriod} returning ${ofSource}
), moved as (
  insert into ${target} (${columns}) select ${columns} from gone returning 1
)
select count(*)::float8 as moved from moved`;
}

/** Counts the rows of the period, and those of them that are not copied yet. */
export function pendingStatement(move: Move): string {
  const { source, inPeriod, drainId } = spell(move);
  return `select count(*)::float8 as rows, (count(*) filter (where m.source is null))::float8 as pending
  from ${source} d
  left join sensordb.drain_row m on m.drain_id = ${drainId} and m.source = d.ctid and m.source_xmin = d.xmin
 where ${inPeriod}`;
}

/** Counts the rows that the table holds. */
export function countStatement(move: Move): string {
  return `select count(*)::float8 as rows from only ${spell(move).target}`;
}
