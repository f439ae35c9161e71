import { sql } from 'kysely';
import { INDEX_SHAPE, keptFirst, type ShapeRow, shapeOf } from '../../partitions/index-shape.ts';
import { comparableItems, comparableTree } from '../../partitions/node-tree.ts';
import type { Scene } from '../scene.ts';
import { memberTree } from '../scope.ts';

/** All that tells what an index serves. */
export interface CompleteIndex {
  readonly oid: number;
  readonly index: string;
  readonly relation: number;
  readonly table: string;
  readonly rootTable: string;
  readonly isPartitioned: boolean;
  readonly isOfPartition: boolean;
  /** To the index of a partitioned table: it stays as long as that does. */
  readonly isAttached: boolean;
  /** The one at the very top that it is attached to; itself, where it is attached to none. */
  readonly topIndex: string;
  /** Among the indexes of its table: of two alike, the one with the lower number stays. */
  readonly standing: number;
  /** With those of the indexes that are attached to it. */
  readonly scans: number;
  readonly method: string;
  readonly isValid: boolean;
  readonly isUnique: boolean;
  readonly isImmediate: boolean;
  readonly isExclusion: boolean;
  readonly isIdentity: boolean;
  readonly isClustered: boolean;
  /** A foreign key refers to it. */
  readonly isReferenced: boolean;
  readonly nullsNotDistinct: boolean;
  /** p or u, and its name, when a constraint stands on it. */
  readonly constraint: string | null;
  readonly constraintName: string | null;
  /** Column or expression with operator class, collation, order and parameters, of each key. */
  readonly keys: readonly string[];
  /** The names of the keys that are plain columns, and those of INCLUDE. */
  readonly columns: readonly string[];
  readonly included: readonly string[];
  readonly predicate: string;
  /** Storage parameters that change what it can do. */
  readonly options: readonly string[];
  /** Two indexes that index the same have the same, on whatever partition. */
  readonly shape: string;
}

type Known = 'keys' | 'columns' | 'included' | 'predicate' | 'shape' | 'nullsNotDistinct';
type Row = Omit<CompleteIndex, Known> & ShapeRow;

/** Relam, unique, nulls not distinct, number of keys, exclusion, columns: as INDEX_SHAPE builds it. */
type Outline = readonly [
  number,
  boolean,
  boolean | null,
  number,
  boolean,
  readonly (readonly [string | null, ...unknown[]])[],
];

/**
 * Reads the indexes of every table that has two or more, one at least of which is attached to none.
 *
 * Those that are all attached to indexes of a partitioned table are compared there.
 */
export async function readCompleteIndexes(scene: Scene): Promise<readonly CompleteIndex[]> {
  const { rows } = await sql<Row>`
    with recursive ${memberTree(scene)},
    several as materialized (
      select m.oid, m.root
        from member m
        join pg_index x on x.indrelid = m.oid and x.indislive
        join pg_class i on i.oid = x.indexrelid
       group by m.oid, m.root
      having count(*) > 1 and bool_or(not i.relispartition)
    ),
    one as materialized (
      select x.indexrelid as oid from several s join pg_index x on x.indrelid = s.oid and x.indislive
    ),
    below (index, oid) as (
      select o.oid, o.oid from one o
      union all
      select b.index, h.inhrelid from below b join pg_inherits h on h.inhparent = b.oid
    ),
    scanned as materialized (
      select b.index, sum(pg_stat_get_numscans(b.oid))::float8 as scans from below b group by b.index
    ),
    above (index, oid) as (
      select o.oid, o.oid from one o
      union all
      select a.index, h.inhparent from above a join pg_inherits h on h.inhrelid = a.oid
    ),
    topmost as materialized (
      select a.index, format('%I.%I', n.nspname, c.relname) as name
        from above a join pg_class c on c.oid = a.oid and not c.relispartition join pg_namespace n on n.oid = c.relnamespace
    )
    select i.oid, format('%I.%I', n.nspname, i.relname) as index, s.oid as relation, format('%I.%I', tn.nspname, t.relname) as "table",
           format('%I.%I', rn.nspname, r.relname) as "rootTable", i.relkind = 'I' as "isPartitioned",
           t.relispartition as "isOfPartition", i.relispartition as "isAttached", p.name as "topIndex", sc.scans,
           row_number() over (partition by s.oid order by ${keptFirst(sql`sc.scans`)})::int as standing, am.amname::text as method, x.indisvalid as "isValid",
           x.indisunique as "isUnique", x.indimmediate as "isImmediate", x.indisexclusion as "isExclusion",
           x.indisreplident as "isIdentity", x.indisclustered as "isClustered", k.contype::text as "constraint",
           k.conname::text as "constraintName",
           exists (select from pg_constraint f where f.conindid = i.oid and f.contype = 'f') as "isReferenced",
           coalesce((select jsonb_agg(o order by o) from unnest(i.reloptions) o
                      where o !~ '^(fillfactor|autosummarize|deduplicate_items|fastupdate|gin_pending_list_limit|buffering)='),
                    '[]') as options,
           f.*
      from several s
      join pg_index x on x.indrelid = s.oid and x.indislive
      join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
      join pg_am am on am.oid = i.relam
      join scanned sc on sc.index = i.oid join topmost p on p.index = i.oid
      join pg_class t on t.oid = s.oid join pg_namespace tn on tn.oid = t.relnamespace
      join pg_class r on r.oid = s.root join pg_namespace rn on rn.oid = r.relnamespace
      left join pg_constraint k on k.conindid = i.oid and k.conrelid = s.oid and k.contype in ('p', 'u')
      cross join lateral (select ${INDEX_SHAPE}) f
     order by 2`.execute(scene.session.db);
  return rows.map(complete);
}

function complete(row: Row): CompleteIndex {
  const [, , nullsNotDistinct, keyCount, , columns] = row.outline as Outline;
  const expressions = [...comparableItems(row.expressions, row.layout ?? {})];
  const keys = columns
    .slice(0, keyCount)
    .map(([name, ...how]) => JSON.stringify([name ?? expressions.shift(), ...how]));
  const names = (some: Outline[5]): readonly string[] => some.flatMap(([name]) => name ?? []);
  return {
    ...row,
    nullsNotDistinct: nullsNotDistinct === true,
    keys,
    columns: names(columns.slice(0, keyCount)),
    included: names(columns.slice(keyCount)),
    predicate: comparableTree(row.predicate, row.layout ?? {}),
    shape: shapeOf(row),
  };
}
