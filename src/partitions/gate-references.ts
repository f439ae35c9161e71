import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier, quoteLiteral } from '../db/quote.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE, sqlstateOf } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { BEGINNING, END, formatBound, type Range } from '../time/instant.ts';
import type { Gated, LeafRefusal } from './gate.ts';

/** A foreign key that references a partitioned table, or an ancestor of it. */
interface Reference {
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  readonly isPartitioned: boolean;
  readonly columns: readonly ReferenceColumn[];
}

interface ReferenceColumn {
  readonly referencing: string;
  readonly referenced: string;
  /** `operator(pg_catalog.=)`, as the constraint itself has it. */
  readonly equals: string;
  /** Both columns have one type. */
  readonly isSameType: boolean;
}

/** How long a look at rows may wait for a lock, in milliseconds: what it does not find out DETACH itself does. */
const LOCK_TIMEOUT_MS = 50;

/**
 * Asks which leaves hold rows that foreign keys of the parent are used for, and DETACH would therefore refuse with 23503.
 *
 * Takes ACCESS SHARE on the leaf and the referencing table, for a moment each. Where that is not to be had, or the role may not
 * read them, nothing is said: DETACH looks again, under locks of its own.
 */
export async function askReferencedRows(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Gated[],
): Promise<readonly LeafRefusal[]> {
  if (leaves.length === 0) return [];
  const references = await reading(session, () => readReferences(session, table));
  const refusals: LeafRefusal[] = [];
  for (const reference of references) {
    for (const leaf of leaves) {
      if (await isReferenced(session, table, reference, leaf)) refusals.push(refusal(reference, leaf));
    }
  }
  return refusals;
}

function refusal(reference: Reference, { oid, name, schema }: Gated): LeafRefusal {
  const from = qualifiedName(reference.schema, reference.table);
  return {
    oid,
    name,
    reason: 'referenced_rows',
    message: `Rows of ${from} reference rows of ${qualifiedName(schema, name)} (foreign key ${quoteIdentifier(reference.name)}).`,
    hint: `Delete those rows of ${from}, or drop the foreign key; then run it again.`,
  };
}

async function readReferences(session: Session, table: PartitionedTable): Promise<readonly Reference[]> {
  // A partitioned table that references has the key once, and each of its partitions another, whose parent it is.
  const { rows } = await sql<Reference>`
    select k.conname::text as name, n.nspname::text as schema, c.relname::text as "table",
           c.relkind = 'p' as "isPartitioned",
           (select json_agg(json_build_object(
                     'referencing', f.attname, 'referenced', p.attname,
                     'equals', format('operator(%I.%s)', s.nspname, o.oprname),
                     'isSameType', f.atttypid = p.atttypid) order by x.position)
              from rows from (unnest(k.conkey), unnest(k.confkey), unnest(k.conpfeqop))
                   with ordinality x (referencing, referenced, operator, position)
              join pg_attribute f on f.attrelid = k.conrelid and f.attnum = x.referencing
              join pg_attribute p on p.attrelid = k.confrelid and p.attnum = x.referenced
              join pg_operator o on o.oid = x.operator
              join pg_namespace s on s.oid = o.oprnamespace) as columns
      from pg_constraint k
      join pg_class c on c.oid = k.conrelid
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_constraint u on u.oid = k.conparentid
     where k.contype = 'f' and k.confrelid = ${String(table.oid)}::oid
       and u.confrelid is distinct from k.confrelid
     order by 2, 3, 1`.execute(session.db);
  return rows;
}

async function isReferenced(
  session: Session,
  table: PartitionedTable,
  reference: Reference,
  leaf: Gated,
): Promise<boolean> {
  try {
    return await reading(
      session,
      async () => {
        const { rows } = await session.run<{ found: boolean }>(referencedQuery(table, reference, leaf));
        return rows[0]?.found === true;
      },
      LOCK_TIMEOUT_MS,
    );
  } catch (thrown) {
    if (UNANSWERED.has(sqlstateOf(thrown))) return false;
    throw thrown;
  }
}

/** A lock held by others, a missing right, a leaf that is gone meanwhile. */
const UNANSWERED: ReadonlySet<string | null> = new Set([
  SQLSTATE.lockNotAvailable,
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.undefinedTable,
]);

function referencedQuery(table: PartitionedTable, reference: Reference, leaf: Gated): string {
  const only = reference.isPartitioned ? '' : 'only ';
  const conditions = reference.columns.flatMap(({ referencing, referenced, equals, isSameType }) => [
    `l.${quoteIdentifier(referenced)} ${equals} f.${quoteIdentifier(referencing)}`,
    // Implied, but not by what the planner knows: it spares reading what references other leaves.
    ...(referenced === table.key && isSameType
      ? within(`f.${quoteIdentifier(referencing)}`, leaf.range, table)
      : []),
  ]);
  return `select exists (
  select from ${only}${qualifiedName(reference.schema, reference.table)} f
    join ${qualifiedName(leaf.schema, leaf.name)} l on ${conditions.join('\n     and ')}) as found`;
}

function within(column: string, { lower, upper }: Range, { keyType }: PartitionedTable): readonly string[] {
  const bound = (instant: bigint) => quoteLiteral(formatBound(instant, keyType));
  return [
    ...(lower === BEGINNING ? [] : [`${column} >= ${bound(lower)}`]),
    ...(upper === END ? [] : [`${column} < ${bound(upper)}`]),
  ];
}
