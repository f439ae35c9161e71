import { sql } from 'kysely';
import { usageError } from '../cli/errors.ts';
import type { KeyType } from '../time/instant.ts';
import { qualifiedName } from './quote.ts';
import type { Session } from './session.ts';
import { parseTableName } from './table-name.ts';

/** A table that is range-partitioned by one column of time. */
export interface PartitionedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Schema-qualified and quoted where it must be. */
  readonly qualified: string;
  readonly key: string;
  readonly keyType: KeyType;
  readonly owner: string;
}

interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly strategy: string | null;
  readonly keyColumns: number | null;
  readonly key: string | null;
  readonly keyTypeOid: number | null;
  readonly keyType: string | null;
}

const KEY_TYPES: Readonly<Record<string, KeyType>> = {
  'timestamp with time zone': 'timestamptz',
  'timestamp without time zone': 'timestamp',
  date: 'date',
};

/**
 * Finds the partitioned table that the user named, by the role's own search_path, and makes sure that it suits.
 *
 * Throws usage errors (exit 2): unknown table, not partitioned, partitioned by list or hash, by several columns, by an expression,
 * or by a column that is no time.
 */
export async function readPartitionedTable(session: Session, text: string): Promise<PartitionedTable> {
  return await requireSuitable(session, await findTable(session, text));
}

async function findTable(session: Session, text: string): Promise<TableRow> {
  const { searchPath } = session.server;
  const { schema, spellings } = parseTableName(text);
  const schemas = schema ?? searchPath;
  // Few joins, no subqueries: this is the first query on a new connection, whose catalog caches are cold, and planning is
  // what it costs.
  const { rows } = await sql<TableRow>`
    select c.oid, n.nspname::text as schema, c.relname::text as name,
           pg_get_userbyid(c.relowner)::text as owner,
           p.partstrat::text as strategy, p.partnatts::int4 as "keyColumns",
           a.attname::text as key, a.atttypid as "keyTypeOid", format_type(a.atttypid, null) as "keyType"
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      left join pg_partitioned_table p on p.partrelid = c.oid
      left join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0] and a.attnum > 0
     where c.relname in (${sql.join(spellings)}) and n.nspname in (${sql.join(schemas.length === 0 ? [''] : schemas)})
       and c.relkind not in ('i', 'I', 'S', 't', 'c')`.execute(session.db);
  const rank = (row: TableRow): number =>
    spellings.indexOf(row.name) * (schemas.length + 1) + schemas.indexOf(row.schema);
  const [row] = rows.toSorted((a, b) => rank(a) - rank(b));
  if (row !== undefined) return row;
  throw unknownTable(session, text, schema === null);
}

function unknownTable({ server }: Session, text: string, bySearchPath: boolean): Error {
  const { database, user, searchPath } = server;
  const looked = `Looked in the search_path of ${user}: ${searchPath.join(', ') || 'empty'}. Name it with --table schema.table`;
  const hint = bySearchPath ? looked : 'Check the spelling and the database';
  return usageError('unknown_table', `There is no table ${text} in database ${database}.`, {
    object: text,
    hint: `${hint}; sensordb migrate up makes sensors_sensorreading.`,
  });
}

async function requireSuitable(session: Session, row: TableRow): Promise<PartitionedTable> {
  const qualified = qualifiedName(row.schema, row.name);
  const refuse = (code: string, message: string, hint: string): Error =>
    usageError(code, message, { object: qualified, hint });
  if (row.strategy === null) throw await notPartitioned(session, row, qualified);
  if (row.strategy !== 'r') {
    const strategy = row.strategy === 'h' ? 'hash' : 'list';
    throw refuse(
      'not_range_partitioned',
      `${qualified} is partitioned by ${strategy}, not by range.`,
      'sensordb manages tables that are partitioned by range of one column of time.',
    );
  }
  if (row.keyColumns !== 1) {
    throw refuse(
      'several_key_columns',
      `${qualified} is partitioned by ${row.keyColumns} columns.`,
      'sensordb manages tables whose partition key is one column.',
    );
  }
  if (row.key === null) {
    throw refuse(
      'expression_key',
      `${qualified} is partitioned by an expression.`,
      'sensordb manages tables whose partition key is a plain column.',
    );
  }
  const keyType = KEY_TYPES[row.keyType ?? ''] ?? (await readDomainBase(session, row.keyTypeOid));
  if (keyType === undefined) {
    throw refuse(
      'key_not_time',
      `${qualified} is partitioned by ${row.key}, which is ${row.keyType}, not a time.`,
      'sensordb manages keys of type timestamptz, timestamp and date.',
    );
  }
  const { oid, schema, name, key, owner } = row;
  return { oid, schema, name, qualified, key, keyType, owner };
}

/** Finds the type below a domain, or below a domain over a domain. */
async function readDomainBase(session: Session, typeOid: number | null): Promise<KeyType | undefined> {
  const { rows } = await sql<{ name: string }>`
    with recursive base (oid, below) as (
      select t.oid, t.typbasetype from pg_type t where t.oid = ${String(typeOid ?? 0)}::oid
      union all
      select t.oid, t.typbasetype from base b join pg_type t on t.oid = b.below
    )
    select format_type(b.oid, null) as name from base b where b.below = 0`.execute(session.db);
  return KEY_TYPES[rows[0]?.name ?? ''];
}

async function notPartitioned(session: Session, row: TableRow, qualified: string): Promise<Error> {
  const { rows } = await sql<{ parent: string }>`
    select format('%I.%I', n.nspname, c.relname) as parent
      from pg_inherits i
      join pg_class leaf on leaf.oid = i.inhrelid and leaf.relispartition
      join pg_class c on c.oid = i.inhparent
      join pg_namespace n on n.oid = c.relnamespace
     where i.inhrelid = ${String(row.oid)}::oid`.execute(session.db);
  const parent = rows[0]?.parent;
  const hint =
    parent === undefined
      ? 'Name a table that was created with PARTITION BY RANGE.'
      : `It is a partition of ${parent}: name that with --table.`;
  return usageError('not_partitioned', `${qualified} is not a partitioned table.`, {
    object: qualified,
    hint,
  });
}
