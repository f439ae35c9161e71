import { sql } from 'kysely';
import { failure } from '../cli/errors.ts';
import type { RunOptions } from '../db/budget.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName, quoteIdentifier } from '../db/quote.ts';
import { underBudget } from '../db/run-steps.ts';
import type { Session } from '../db/session.ts';
import { SQLSTATE } from '../db/sqlstate.ts';
import { reading } from '../db/transaction.ts';
import { formatBound, type Instant, parseInstant } from '../time/instant.ts';
import type { DefaultRows, EnsureFacts } from './ensure-plan.ts';
import type { Hole } from './ensure-sketch.ts';
import type { LeafTemplate } from './leaf-template.ts';
import { readLeafTemplate } from './leaf-template-read.ts';
import type { DefaultPartition, Partitions } from './read.ts';

const RELATION_KINDS: Readonly<Record<string, string>> = {
  r: 'table',
  p: 'table',
  f: 'foreign table',
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
  i: 'index',
  I: 'index',
  c: 'type',
};

/**
 * Reads the names that are taken in the table's schema, among those that a leaf or its indexes could get.
 *
 * All of ours begin with the first characters of the table's name. A table also makes a type of its name.
 */
export async function readTakenNames(
  session: Session,
  table: PartitionedTable,
): Promise<EnsureFacts['taken']> {
  const prefix = [...table.name].slice(0, 5).join('');
  const { rows } = await sql<{ name: string; kind: string; parent: string | null }>`
    select c.relname::text as name, c.relkind::text as kind, case when i.inhparent is not null then format('%I.%I', n.nspname, p.relname) end as parent
      from pg_class c
      left join (pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace n on n.oid = p.relnamespace)
        on i.inhrelid = c.oid and c.relispartition
     where c.relnamespace = (select n.oid from pg_namespace n where n.nspname = ${table.schema})
       and starts_with(c.relname::text, ${prefix})
    union all
    select t.typname::text, 'c', null
      from pg_type t
     where t.typnamespace = (select n.oid from pg_namespace n where n.nspname = ${table.schema})
       and t.typrelid = 0 and t.typelem = 0 and starts_with(t.typname::text, ${prefix})`.execute(session.db);
  return new Map(
    rows.map(({ name, kind, parent }) => [
      name,
      { kind: RELATION_KINDS[kind] ?? 'table', partitionOf: parent },
    ]),
  );
}

interface DefaultRow {
  readonly bucket: number;
  readonly count: string;
  readonly earliest: string;
  readonly latest: string;
}

/**
 * Counts the rows of DEFAULT that lie in each hole: one query and one pass over DEFAULT, on which it takes ACCESS SHARE.
 *
 * The holes are disjoint and in ascending order, so that their ends cut time into buckets.
 */
export async function readDefaultRows(
  session: Session,
  table: PartitionedTable,
  defaultPartition: DefaultPartition,
  holes: readonly Hole[],
): Promise<EnsureFacts['defaultRows']> {
  const edges = [...new Set(holes.flatMap(({ range }) => [range.lower, range.upper]))];
  const texts = edges.map((edge) => formatBound(edge, table.keyType));
  const type = sql.raw(table.keyType);
  const key = sql.id('d', table.key);
  const { rows } = await sql<DefaultRow>`
    select b.bucket, count(*)::text as count, min(b.key)::text as earliest, max(b.key)::text as latest
      from (select width_bucket(${key}, ${`{"${texts.join('","')}"}`}::${type}[]) as bucket, ${key} as key
              from ${sql.id(defaultPartition.schema, defaultPartition.name)} d
             where ${key} >= ${texts[0]}::${type} and ${key} < ${texts.at(-1)}::${type}) b
     group by b.bucket`.execute(session.db);
  // Bucket n begins at the n-th edge; between holes that do not touch lie buckets of no interest.
  const found = new Map(rows.map((row) => [edges[row.bucket - 1], row]));
  return new Map(
    holes.flatMap(({ range: { lower } }) => {
      const row = found.get(lower);
      return row === undefined ? [] : [[lower, toDefaultRows(row)] as const];
    }),
  );
}

function toDefaultRows({ count, earliest, latest }: DefaultRow): DefaultRows {
  return {
    count: Number(count),
    earliest: parseInstant(earliest) as Instant,
    latest: parseInstant(latest) as Instant,
  };
}

/** Counts the rows of DEFAULT in each hole, waiting for it under the budget. */
export async function readRowsInTheWay(
  session: Session,
  table: PartitionedTable,
  partitions: Partitions,
  holes: readonly Hole[],
  options: RunOptions,
) {
  const { default: defaultPartition } = partitions;
  if (defaultPartition === null) return new Map();
  const relation = qualifiedName(defaultPartition.schema, defaultPartition.name);
  const locks = [{ relation, mode: 'ACCESS SHARE' as const }];
  return await underBudget(session, `Count the rows of ${relation}`, locks, options, () =>
    reading(
      session,
      () => readDefaultRows(session, table, defaultPartition, holes),
      options.budget.lockTimeoutMs,
    ),
  );
}

/** Reads what a new leaf must have, once it is sure that the role may make one; waits for the parent under the budget. */
export async function readTemplate(
  session: Session,
  table: PartitionedTable,
  { leaves }: Partitions,
  options: RunOptions,
): Promise<LeafTemplate> {
  // pg_get_indexdef and the like take ACCESS SHARE on the parent and its indexes.
  const locks = [{ relation: table.qualified, mode: 'ACCESS SHARE' as const }];
  return await underBudget(session, `Read ${table.qualified}`, locks, options, () =>
    reading(
      session,
      async () => {
        await requirePrivileges(session, table);
        return await readLeafTemplate(session, table, leaves);
      },
      options.budget.lockTimeoutMs,
    ),
  );
}

/**
 * Makes sure that the role may make leaves, before anything is changed; throws `insufficient_privilege` (exit 1).
 *
 * CREATE and ATTACH want CREATE on the schema and the rights of the table's owner; GRANT ALL is not enough.
 */
async function requirePrivileges(session: Session, table: PartitionedTable): Promise<void> {
  const { rows } = await sql<{ owns: boolean; creates: boolean; ownerCreates: boolean }>`
    select pg_has_role(c.relowner, 'usage') as owns,
           has_schema_privilege(c.relnamespace, 'create') as creates,
           pg_get_userbyid(c.relowner) = current_user
             or (select r.rolsuper from pg_roles r where r.rolname = current_user)
             or has_schema_privilege(c.relowner, c.relnamespace, 'create') as "ownerCreates"
      from pg_class c where c.oid = ${String(table.oid)}::oid`.execute(session.db);
  const [may] = rows;
  const { user } = session.server;
  const refuse = (message: string, hint: string): Error =>
    failure('insufficient_privilege', message, {
      sqlstate: SQLSTATE.insufficientPrivilege,
      object: table.qualified,
      hint,
    });
  if (may?.owns !== true) {
    throw refuse(
      `Role ${user} does not own ${table.qualified}: its owner is ${table.owner}.`,
      `Connect as ${table.owner}, or become a member of it: GRANT ${quoteIdentifier(table.owner)} TO ${quoteIdentifier(user)}.`,
    );
  }
  for (const [may_, role] of [
    [may.creates, user],
    [may.ownerCreates, table.owner],
  ] as const) {
    if (may_) continue;
    throw refuse(
      `Role ${role} may not create tables in schema ${table.schema}.`,
      `GRANT CREATE ON SCHEMA ${quoteIdentifier(table.schema)} TO ${quoteIdentifier(role)}.`,
    );
  }
}
