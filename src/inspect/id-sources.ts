import { sql } from 'kysely';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { isBounded } from '../partitions/coverage.ts';
import { formatBound, fromDate, type Range } from '../time/instant.ts';
import type { IdColumn } from './id-columns.ts';
import type { Scene } from './scene.ts';

/** A partition whose ids are looked at. */
export interface IdSource {
  readonly oid: number;
  readonly qualified: string;
  /** What follows FROM: itself, or its part of its table where the role may read that alone; null: it may read neither. */
  readonly from: string | null;
  readonly isLocked: boolean;
  /** A valid index begins with the column: the ends of it are found at once. */
  readonly hasIndex: boolean;
}

interface Wanted {
  readonly oid: number;
  readonly qualified: string;
  readonly range: Range | null;
}

interface Row {
  readonly oid: number;
  readonly access: 'leaf' | 'table' | 'none';
  readonly isLocked: boolean;
  readonly hasIndex: boolean;
}

/**
 * Chooses the partitions of each table: the newest that have begun, the oldest one, and DEFAULT. Sees by one query how they can
 * be read.
 */
export async function readIdSources(
  scene: Scene,
  columns: readonly IdColumn[],
  newest: number,
): Promise<ReadonlyMap<IdColumn, readonly IdSource[]>> {
  const wanted = new Map(columns.map((column) => [column, choose(scene, column, newest)]));
  const list = [...wanted].flatMap(([{ table, key, column }, leaves]) =>
    leaves.map(({ oid }) => ({ oid, table: table.oid, key, column })),
  );
  const { rows } = await sql<Row>`
    select w.oid,
           case when has_column_privilege(w.oid, w.column, 'select') and has_column_privilege(w.oid, w.key, 'select')
                     and not row_security_active(w.oid) then 'leaf'
                when has_column_privilege(w.table, w.column, 'select') and has_column_privilege(w.table, w.key, 'select')
                     and not row_security_active(w.table) then 'table'
                else 'none' end as access,
           w.oid = any (${scene.locked}::oid[]) or w.table = any (${scene.locked}::oid[]) as "isLocked",
           exists (select from pg_index x join pg_class i on i.oid = x.indexrelid join pg_am m on m.oid = i.relam
                    where x.indrelid = w.oid and x.indisvalid and x.indpred is null and m.amname = 'btree'
                      and x.indkey[0] = a.attnum) as "hasIndex"
      from jsonb_to_recordset(${JSON.stringify(list)}::jsonb) as w (oid oid, "table" oid, key text, "column" text)
      join pg_attribute a on a.attrelid = w.oid and a.attname = w.column`.execute(scene.session.db);
  const seen = new Map(rows.map((row) => [row.oid, row]));
  return new Map(
    [...wanted].map(([column, leaves]) => [
      column,
      leaves.flatMap((leaf) => {
        const row = seen.get(leaf.oid);
        return row === undefined ? [] : [toSource(column, leaf, row)];
      }),
    ]),
  );
}

function choose({ now }: Scene, { table }: IdColumn, newest: number): readonly Wanted[] {
  const begun = table.leaves.filter(
    ({ isPlain, state, range }) => isPlain && state === 'attached' && range.lower <= fromDate(now),
  );
  const { default: byDefault } = table;
  const chosen = new Set([...begun.slice(0, 1), ...begun.slice(-newest)]);
  return [...chosen, ...(byDefault?.relkind === 'r' ? [{ ...byDefault, range: null }] : [])];
}

function toSource(column: IdColumn, { oid, qualified, range }: Wanted, row: Row): IdSource {
  const { access, isLocked, hasIndex } = row;
  const source = { oid, qualified, isLocked, hasIndex };
  if (access === 'leaf') return { ...source, from: qualified };
  const { table, key } = column;
  // By literal bounds the planner opens no other partition.
  if (access === 'none' || range === null || !isBounded(range)) return { ...source, from: null };
  const [lower, upper] = [range.lower, range.upper].map((end) =>
    quoteLiteral(formatBound(end, table.keyType)),
  );
  const name = quoteIdentifier(key);
  const from = `${qualifiedName(table.schema, table.name)} where ${name} >= ${lower} and ${name} < ${upper}`;
  return { ...source, from };
}
