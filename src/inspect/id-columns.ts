import { sql } from 'kysely';
import type { Scene } from './scene.ts';
import { outermost } from './time-coverage.ts';
import type { TimeTable } from './time-table.ts';
import { readTimeTables } from './time-tables.ts';

/** A column of ids that a sequence gives, in a unique key together with the partition key, which lets an id stand twice. */
export interface IdColumn {
  readonly table: TimeTable;
  readonly key: string;
  readonly column: string;
  readonly sequence: string;
  readonly isAscending: boolean;
  /** As text; null: never used, or not to be read. */
  readonly last: string | null;
  readonly mayReadLast: boolean;
}

type ColumnRow = Omit<IdColumn, 'table' | 'key'> & { readonly oid: number };

/** Finds the columns of ids of tables partitioned by time; one query. */
export async function readIdColumns(scene: Scene): Promise<readonly IdColumn[]> {
  const tables = outermost(await readTimeTables(scene)).filter(({ key }) => key !== null);
  const byOid = new Map(tables.map((table) => [table.oid, table]));
  if (tables.length === 0) return [];
  const keys = JSON.stringify(tables.map(({ oid, key }) => ({ oid, key })));
  // pg_sequence_last_value opens the sequence, with ROW EXCLUSIVE up to 17: whoever alters it is left alone.
  const { rows } = await sql<ColumnRow>`
    with keyed as materialized (
      select t.oid, k.attnum as key, a.attnum, a.attname
        from jsonb_to_recordset(${keys}::jsonb) as t (oid oid, key name)
        join pg_attribute k on k.attrelid = t.oid and k.attname = t.key
        join pg_index x on x.indrelid = t.oid and x.indisunique and x.indnkeyatts = 2 and x.indpred is null and x.indexprs is null
         and k.attnum in (x.indkey[0], x.indkey[1])
        join pg_attribute a on a.attrelid = t.oid and a.attnum in (x.indkey[0], x.indkey[1]) and a.attnum <> k.attnum
         and a.atttypid in ('int8'::regtype, 'int4'::regtype, 'int2'::regtype)
       -- Without an index that begins with it nobody looks anything up by it.
       where exists (select from pg_index f where f.indrelid = t.oid and f.indkey[0] = a.attnum)
    ),
    given as materialized (
      select k.oid, k.attnum, d.objid as sequence
        from keyed k
        join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = k.oid and d.refobjsubid = k.attnum
         and d.classid = 'pg_class'::regclass and d.deptype = 'i'
      union
      select k.oid, k.attnum, d.refobjid
        from keyed k
        join pg_attrdef f on f.adrelid = k.oid and f.adnum = k.attnum
        join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
    ),
    seen as materialized (
      select distinct on (k.oid, k.attnum) k.oid, k.attname, s.seqincrement > 0 as ascending, s.seqrelid,
             format('%I.%I', n.nspname, c.relname) as sequence,
             has_sequence_privilege(c.oid, 'select, usage') and not exists (
               select from pg_locks l
                where l.locktype = 'relation' and l.relation = c.oid
                  and l.database = (select b.oid from pg_database b where b.datname = current_database()) and l.pid is distinct from pg_backend_pid()
                  and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) as may
        from keyed k
        join given g on g.oid = k.oid and g.attnum = k.attnum
        join pg_sequence s on s.seqrelid = g.sequence
        join pg_class c on c.oid = s.seqrelid
        join pg_namespace n on n.oid = c.relnamespace
       order by k.oid, k.attnum, s.seqrelid
    )
    select s.oid, s.attname::text as column, s.sequence, s.ascending as "isAscending", s.may as "mayReadLast",
           case when s.may then pg_sequence_last_value(s.seqrelid)::text end as last
      from seen s`.execute(scene.session.db);
  return rows.flatMap(({ oid, ...row }) => {
    const table = byOid.get(oid);
    return table?.key == null ? [] : [{ ...row, table, key: table.key }];
  });
}
