import { usageError } from '../cli/errors.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { parseTableName } from '../db/table-name.ts';
import { reading } from '../db/transaction.ts';
import { BEGINNING, END, formatBound, type Range } from '../time/instant.ts';
import type { AttachCandidate, Stranger } from './attach-plan.ts';
import { type DefaultRows, rowsInDefault } from './ensure-plan.ts';
import { readDefaultRows } from './ensure-read.ts';
import type { LeafRefusal } from './gate.ts';
import type { DefaultPartition } from './read.ts';

/** Finds a table by its name, in the role's search_path; throws a usage error when there is none. */
export async function findStranger(session: Session, text: string): Promise<Stranger> {
  const { schema, spellings } = parseTableName(text);
  const schemas = schema ?? session.server.searchPath;
  const { rows } = await session.run<Stranger & { parent: string | null }>(
    `select c.oid, n.nspname::text as schema, c.relname::text as name,
            case when c.relispartition then (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = c.oid) end as parent
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relname = any ($1::text[]) and n.nspname = any ($2::text[])
        and c.relkind in ('r', 'p', 'f')`,
    [spellings, schemas],
  );
  const rank = (row: Stranger): number =>
    spellings.indexOf(row.name) * (schemas.length + 1) + schemas.indexOf(row.schema);
  const [found] = rows.toSorted((a, b) => rank(a) - rank(b));
  if (found !== undefined) return found;
  throw usageError('unknown_table', `There is no table ${text}.`, {
    object: text,
    hint: `Looked in ${schemas.join(', ') || 'an empty search_path'}. Name it with its schema.`,
  });
}

interface ColumnDifferences {
  readonly oid: number;
  readonly differences: readonly string[];
  /** What ALTER TABLE is to do about them, as far as that loses nothing. */
  readonly remedies: readonly string[];
}

/** Compares the columns of tables with those of their parent to be: what ATTACH would refuse, before anything is changed. */
export async function readColumnConflicts(
  session: Session,
  table: PartitionedTable,
  candidates: readonly AttachCandidate[],
): Promise<readonly LeafRefusal[]> {
  // From 17 on the identity of the parent is that of its partitions, and DETACH takes it off the leaf.
  const hasOwnIdentity =
    session.server.versionNum < 170_000
      ? 'false'
      : `(l.attidentity <> '' and not (select c.relispartition from pg_class c where c.oid = l.attrelid))`;
  const { rows } = await session.run<ColumnDifferences>(
    `select o.oid, json_agg(d.difference order by d.difference) as differences,
            coalesce(json_agg(d.remedy order by d.difference) filter (where d.remedy is not null), '[]') as remedies
       from unnest($2::oid[]) o (oid)
       cross join lateral (
         select case when l.attname is null then p.attname || ' is missing'
                     when p.attname is null then l.attname || ' is none of the table'
                     when (p.atttypid, p.atttypmod) <> (l.atttypid, l.atttypmod)
                     then format('%s is %s, not %s', p.attname, format_type(l.atttypid, l.atttypmod), format_type(p.atttypid, p.atttypmod))
                     when p.attcollation <> l.attcollation then p.attname || ' has another collation'
                     when p.attgenerated <> l.attgenerated then p.attname || ' is generated in one alone'
                     when p.attnotnull and not l.attnotnull then p.attname || ' may be null'
                     when ${hasOwnIdentity} then l.attname || ' has an identity of its own' end as difference,
                case when l.attname is null and p.attgenerated = ''
                     then format('ADD COLUMN %I %s', p.attname, format_type(p.atttypid, p.atttypmod))
                     when l.attname is null or p.attname is null then null
                     when (p.atttypid, p.atttypmod) <> (l.atttypid, l.atttypmod)
                     then format('ALTER COLUMN %I TYPE %s', p.attname, format_type(p.atttypid, p.atttypmod))
                     when p.attcollation <> l.attcollation or p.attgenerated <> l.attgenerated then null
                     when p.attnotnull and not l.attnotnull then format('ALTER COLUMN %I SET NOT NULL', p.attname)
                     when ${hasOwnIdentity} then format('ALTER COLUMN %I DROP IDENTITY', p.attname) end as remedy
           from (select * from pg_attribute a where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped) p
           full join (select * from pg_attribute a where a.attrelid = o.oid and a.attnum > 0 and not a.attisdropped) l
             on l.attname = p.attname) d
      where d.difference is not null
      group by o.oid`,
    [String(table.oid), candidates.map(({ oid }) => String(oid))],
  );
  return rows.map(({ oid, differences, remedies }) => {
    const { name, schema } = candidates.find((candidate) => candidate.oid === oid) as AttachCandidate;
    const relation = qualifiedName(schema, name);
    const remedy =
      remedies.length === 0
        ? 'change or drop those columns'
        : `ALTER TABLE ${relation} ${remedies.join(', ')}`;
    return {
      oid,
      name,
      reason: 'columns_differ',
      message: `The columns of ${relation} are not those of ${table.qualified}: ${differences.join(', ')}.`,
      hint: `A partition has the columns of its parent, of the same types: ${remedy}, then run this again.`,
    };
  });
}

/** Tells whether a range ends at both sides. */
export function isBounded({ lower, upper }: Range): boolean {
  return lower !== BEGINNING && upper !== END;
}

/** Looks for rows of tables' periods in DEFAULT, which ATTACH refuses (23514); under the lock budget. */
export async function readDefaultConflicts(
  session: Session,
  table: PartitionedTable,
  byDefault: DefaultPartition,
  candidates: readonly AttachCandidate[],
  options: RunOptions,
): Promise<readonly LeafRefusal[]> {
  // What has no end is left to ATTACH itself.
  const bounded = candidates.filter(({ range }) => isBounded(range));
  if (bounded.length === 0) return [];
  const relation = qualifiedName(byDefault.schema, byDefault.name);
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  const holes = bounded
    .toSorted((a, b) => (a.range.lower < b.range.lower ? -1 : 1))
    .map(({ range, name }) => ({ range, extent: 'whole' as const, names: [name] }));
  const found = await underBudget(session, `Count the rows of ${relation}`, locks, options, () =>
    reading(session, () => readDefaultRows(session, table, byDefault, holes), options.budget.lockTimeoutMs),
  );
  return bounded.flatMap((candidate) => {
    const rows = found.get(candidate.range.lower);
    return rows === undefined ? [] : [conflictInDefault(table, byDefault, candidate, rows)];
  });
}

/** Makes the conflict of a leaf whose period DEFAULT holds rows of; null rows: they were not counted. */
function conflictInDefault(
  table: PartitionedTable,
  byDefault: DefaultPartition,
  { oid, schema, name, range }: AttachCandidate,
  rows: DefaultRows | null,
): LeafRefusal {
  const { message, reason } = rowsInDefault(table, range, rows, byDefault);
  const relation = qualifiedName(byDefault.schema, byDefault.name);
  const selection = `FROM ${relation} WHERE ${rangeCondition(table, range)}`;
  // One statement moves them: of two, the second would delete what came in after the first had looked.
  const hint = `See them: SELECT * ${selection}. Move them into the leaf while it is detached: WITH moved AS (DELETE ${selection} RETURNING *) INSERT INTO ${qualifiedName(schema, name)} SELECT * FROM moved (name the columns where they stand in another order); then run this again.`;
  return { oid, name, reason, message, hint };
}

function rangeCondition({ key, keyType }: PartitionedTable, { lower, upper }: Range): string {
  const column = quoteIdentifier(key);
  const terms = [
    ...(lower === BEGINNING ? [] : [`${column} >= ${quoteLiteral(formatBound(lower, keyType))}`]),
    ...(upper === END ? [] : [`${column} < ${quoteLiteral(formatBound(upper, keyType))}`]),
  ];
  return terms.length === 0 ? `${column} IS NOT NULL` : terms.join(' AND ');
}

/** Looks whether tables that sensordb did not detach hold rows outside of their bounds to be. */
export async function readRowsOutside(
  session: Session,
  table: PartitionedTable,
  candidate: AttachCandidate,
  options: RunOptions,
): Promise<LeafRefusal | null> {
  const relation = qualifiedName(candidate.schema, candidate.name);
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  const condition = rangeCondition(table, candidate.range);
  const isOutside = await underBudget(session, `Read ${relation}`, locks, options, () =>
    reading(
      session,
      async () => {
        const { rows } = await session.run<{ outside: boolean }>(
          `select exists (select from ${relation} where (${condition}) is not true) as outside`,
        );
        return rows[0]?.outside === true;
      },
      options.budget.lockTimeoutMs,
    ),
  );
  return isOutside ? rowsOutside(candidate, relation, condition) : null;
}

/** Makes the conflict of a table that holds rows outside of its bounds. */
function rowsOutside({ oid, name }: AttachCandidate, relation: string, condition: string): LeafRefusal {
  return {
    oid,
    name,
    reason: 'rows_outside_bounds',
    message: `${relation} holds rows outside of its bounds.`,
    hint: `See them: SELECT * FROM ${relation} WHERE (${condition}) IS NOT TRUE. Move or delete them, then run this again.`,
  };
}
