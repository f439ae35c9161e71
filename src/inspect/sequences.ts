import { sql } from 'kysely';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';

/** A sequence that gives a column its values, and how far it has come. */
export interface SequenceUse {
  readonly sequence: string;
  /** The table whose column it is, as SQL spells it. */
  readonly table: string;
  readonly column: string;
  /** As format_type prints it. */
  readonly columnType: string;
  /** `int8`, `int4` or `int2`; null: a column of another type, which has no end. */
  readonly columnSize: string | null;
  readonly isAscending: boolean;
  readonly cycles: boolean;
  /** Texts, since a bigint is more than a number holds. */
  readonly last: string | null;
  /** Of the column's end and of the sequence's, the nearer. */
  readonly limit: string;
  /** The end of the sequence is nearer than the column's. */
  readonly sequenceIsLimit: boolean;
  /** Null: it was never used, or may not be read. */
  readonly percent: number | null;
  /** Why its last value was not read; null: it was. */
  readonly hidden: 'no_privilege' | 'locked' | null;
}

/**
 * Reads the sequences of identities, of owning columns and of defaults that have come at least so far, and those that the role may
 * not read: one query.
 */
export async function readSequences(scene: Scene, percent: number): Promise<readonly SequenceUse[]> {
  // pg_sequence_last_value opens the sequence, with ROW EXCLUSIVE up to 17: whoever alters it is left alone.
  const { rows } = await sql<SequenceUse>`
    with recursive ${memberTree(scene)},
    -- Partitions have the defaults of their table.
    root as materialized (
      select m.oid, format('%I.%I', n.nspname, c.relname) as qualified
        from member m join pg_class c on c.oid = m.oid join pg_namespace n on n.oid = c.relnamespace
       where m.level = 0
    ),
    used as materialized (
      select d.objid as oid, d.refobjid as relation, d.refobjsubid as attnum, 0 as rank
        from pg_sequence s
        join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = s.seqrelid
                        and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      union all
      select d.refobjid, a.adrelid, a.adnum, 1
        from pg_sequence s
        join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = s.seqrelid
                        and d.classid = 'pg_attrdef'::regclass
        join pg_attrdef a on a.oid = d.objid
    ),
    typed as materialized (
      select u.oid, r.qualified, u.rank, a.attname, format_type(a.atttypid, a.atttypmod) as type,
             case when b.typname in ('int8', 'int4', 'int2') then b.typname::text end as size,
             case b.typname when 'int2' then 32767 when 'int4' then 2147483647 else 9223372036854775807 end as most
        from used u
        join root r on r.oid = u.relation
        join pg_attribute a on a.attrelid = u.relation and a.attnum = u.attnum and not a.attisdropped
        join pg_type t on t.oid = a.atttypid
        join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
    ),
    -- Of several columns that one sequence serves, the narrowest ends first.
    narrowest as materialized (
      select distinct on (t.oid) t.* from typed t
       order by t.oid, t.most, t.rank, t.qualified, t.attname
    ),
    locked as materialized (
      select l.relation from pg_locks l
       where l.locktype = 'relation' and l.pid is distinct from pg_backend_pid()
         and l.database = (select d.oid from pg_database d where d.datname = current_database())
         and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    ),
    seen as materialized (
      select t.*, format('%I.%I', n.nspname, c.relname) as sequence, s.seqincrement > 0 as ascending, s.seqcycle,
             case when s.seqincrement > 0 then least(s.seqmax, t.most) else greatest(s.seqmin, -t.most - 1) end as edge,
             case when s.seqincrement > 0 then s.seqmax < t.most else s.seqmin > -t.most - 1 end as sequence_is_limit,
             case when not has_sequence_privilege(c.oid, 'select, usage') then 'no_privilege'
                  when exists (select from locked l where l.relation = c.oid) then 'locked' end as hidden
        from narrowest t
        join pg_sequence s on s.seqrelid = t.oid
        join pg_class c on c.oid = t.oid and c.relpersistence <> 't' and not (c.relpersistence = 'u' and pg_is_in_recovery())
        join pg_namespace n on n.oid = c.relnamespace
    ),
    value as materialized (
      select s.*, case when s.hidden is null then pg_sequence_last_value(s.oid) end as last from seen s
    ),
    share as materialized (
      select v.*, 100.0 * v.last / nullif(v.edge, 0) as percent from value v
    )
    select s.sequence, s.qualified as table, s.attname::text as column, s.type as "columnType", s.size as "columnSize",
           s.ascending as "isAscending", s.seqcycle as cycles, s.last::text as last, s.edge::text as limit,
           s.sequence_is_limit as "sequenceIsLimit", s.percent::float8 as percent, s.hidden
      from share s
     where s.hidden is not null or s.percent >= ${percent}
     order by s.qualified, s.attname, s.sequence`.execute(scene.session.db);
  return rows;
}
