import type { TransactionSql } from 'postgres';
import { type RoutineFacts, readPrograms, type ViewFacts } from './schema-programs.ts';

/** A table, partitioned or a partition or neither. */
export interface TableFacts {
  readonly name: string;
  /** The parent and the bound, as PostgreSQL writes it, of a partition. */
  readonly parent: string | null;
  readonly bound: string | null;
  readonly partitionKey: string | null;
  readonly options: string | null;
  readonly comment: string | null;
  /** Tables that must exist before this one. */
  readonly needs: readonly string[];
}

/** A column in the order of its table. */
export interface ColumnFacts {
  readonly table: string;
  readonly name: string;
  readonly type: string;
  readonly collation: string | null;
  readonly notNull: boolean;
  readonly identity: '' | 'a' | 'd';
  readonly generated: '' | 's' | 'v';
  readonly expression: string | null;
  readonly comment: string | null;
}

/** A constraint, an index or a sequence, with the table it belongs to. */
export interface OwnedFacts {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly comment: string | null;
  /** The column that owns a sequence. */
  readonly column: string;
}

/** Everything of a schema that the dump shows. */
export interface SchemaFacts {
  readonly tables: readonly TableFacts[];
  readonly columns: readonly ColumnFacts[];
  readonly constraints: readonly OwnedFacts[];
  readonly indexes: readonly OwnedFacts[];
  readonly sequences: readonly OwnedFacts[];
  readonly routines: readonly RoutineFacts[];
  readonly views: readonly ViewFacts[];
}

/** Reads a schema from the catalog; throws on a kind of object that it cannot describe. */
export async function readSchema(sql: TransactionSql, schema: string): Promise<SchemaFacts> {
  await fixSettings(sql, schema);
  await refuseUnknown(sql, schema);
  return {
    tables: await readTables(sql, schema),
    columns: await readColumns(sql, schema),
    constraints: await readConstraints(sql, schema),
    indexes: await readIndexes(sql, schema),
    sequences: await readSequences(sql, schema),
    ...(await readPrograms(sql, schema)),
  };
}

// What pg_get_expr and its like print hangs on these; names in the search_path are printed without their schema.
async function fixSettings(sql: TransactionSql, schema: string): Promise<void> {
  await sql`select set_config('search_path', quote_ident(${schema}), true),
    set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, MDY', true),
    set_config('intervalstyle', 'postgres', true), set_config('extra_float_digits', '1', true),
    set_config('quote_all_identifiers', 'off', true)`;
}

async function refuseUnknown(sql: TransactionSql, schema: string): Promise<void> {
  const rows = await sql<{ object: string }[]>`
    select pg_describe_object(o.classid, o.objid, 0) as object from (
      select 'pg_class'::regclass as classid, oid as objid, relnamespace as namespace from pg_class
        where relkind not in ('r', 'p', 'i', 'I', 'S', 'v') or relrowsecurity or relpersistence <> 'p'
          or relkind = 'v' and reloptions is not null
      union all select 'pg_class'::regclass, x.oid, x.relnamespace
        from pg_index i join pg_class x on x.oid = i.indexrelid where not i.indisvalid
      union all select 'pg_proc'::regclass, oid, pronamespace from pg_proc
        where prokind not in ('f', 'a') or prosqlbody is not null or proacl is not null
      union all select 'pg_type'::regclass, oid, typnamespace from pg_type where typtype in ('d', 'e', 'r')
      union all select 'pg_trigger'::regclass, t.oid, c.relnamespace
        from pg_trigger t join pg_class c on c.oid = t.tgrelid where not t.tgisinternal
      union all select 'pg_statistic_ext'::regclass, oid, stxnamespace from pg_statistic_ext
    ) as o join pg_namespace n on n.oid = o.namespace where n.nspname = ${schema} order by 1`;
  if (rows.length > 0) {
    throw new Error(`The schema dump cannot describe ${rows.map(({ object }) => object).join(', ')}.`);
  }
}

function readTables(sql: TransactionSql, schema: string): PromiseLike<TableFacts[]> {
  return sql<TableFacts[]>`
    select c.relname as name, parent.relname as parent, pg_get_expr(c.relpartbound, c.oid) as bound,
      pg_get_partkeydef(c.oid) as "partitionKey", array_to_string(c.reloptions, ', ') as options,
      obj_description(c.oid, 'pg_class') as comment,
      array(
        select r.relname::text from pg_constraint f join pg_class r on r.oid = f.confrelid
          where f.conrelid = c.oid and f.confrelid <> c.oid and f.contype = 'f'
        union select parent.relname::text where parent.oid is not null
      ) as needs
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_inherits i on i.inhrelid = c.oid
    left join pg_class parent on parent.oid = i.inhparent
    where n.nspname = ${schema} and c.relkind in ('r', 'p')
    order by c.relname collate "C"`;
}

function readColumns(sql: TransactionSql, schema: string): PromiseLike<ColumnFacts[]> {
  return sql<ColumnFacts[]>`
    select c.relname as table, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
      case when a.attcollation <> t.typcollation then a.attcollation::regcollation::text end as collation,
      a.attnotnull as "notNull", a.attidentity as identity, a.attgenerated as generated,
      pg_get_expr(d.adbin, d.adrelid, true) as expression, col_description(c.oid, a.attnum) as comment
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where n.nspname = ${schema} and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    order by a.attnum`;
}

// PostgreSQL 18 keeps NOT NULL as constraints ('n') as well; the columns show it on every version.
function readConstraints(sql: TransactionSql, schema: string): PromiseLike<OwnedFacts[]> {
  return sql<OwnedFacts[]>`
    select c.relname as table, o.conname as name, pg_get_constraintdef(o.oid, true) as definition,
      obj_description(o.oid, 'pg_constraint') as comment, '' as column
    from pg_constraint o
    join pg_class c on c.oid = o.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and o.contype <> 'n' and o.conislocal and o.conparentid = 0
    order by position(o.contype::text in 'pufxc'), o.conname collate "C"`;
}

function readIndexes(sql: TransactionSql, schema: string): PromiseLike<OwnedFacts[]> {
  return sql<OwnedFacts[]>`
    select c.relname as table, x.relname as name, pg_get_indexdef(x.oid, 0, true) as definition,
      obj_description(x.oid, 'pg_class') as comment, '' as column
    from pg_index i
    join pg_class x on x.oid = i.indexrelid
    join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema}
      and not exists (select from pg_inherits h where h.inhrelid = x.oid)
      and not exists (select from pg_constraint o where o.conindid = x.oid and o.contype in ('p', 'u', 'x'))
    order by x.relname collate "C"`;
}

// The sequence behind an identity column depends on it internally ('i') and needs no statement of its own.
function readSequences(sql: TransactionSql, schema: string): PromiseLike<OwnedFacts[]> {
  return sql<OwnedFacts[]>`
    select c.relname as table, a.attname as column, q.relname as name,
      format('as %s increment by %s start with %s cache %s%s', format_type(s.seqtypid, null), s.seqincrement,
        s.seqstart, s.seqcache, case when s.seqcycle then ' cycle' end) as definition,
      obj_description(q.oid, 'pg_class') as comment
    from pg_sequence s
    join pg_class q on q.oid = s.seqrelid
    join pg_namespace n on n.oid = q.relnamespace
    join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = q.oid and d.deptype = 'a'
    join pg_class c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
    where n.nspname = ${schema}
    order by q.relname collate "C"`;
}
