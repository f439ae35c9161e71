import { sql } from 'kysely';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { isManaged, repairIndexes } from '../indexes/repair.ts';
import { firstFew, partitions } from '../indexes/tree.ts';
import { buildTrees } from '../indexes/tree-fixes.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

interface Row {
  readonly root: number;
  readonly names: readonly string[];
  /** `partitions repair` can build it. */
  readonly isManaged: boolean;
  readonly table: string;
  readonly isPartitioned: boolean;
  /** Partitions have it, and their table does not; `isOne`: a single one; `isEverywhere`: all. */
  readonly isOfPartitions: boolean;
  readonly isOne: boolean;
  readonly isEverywhere: boolean;
  readonly constraints: readonly string[];
  readonly columns: string;
  readonly referenced: string;
  readonly cascades: boolean;
  readonly rows: number;
  /** The leaves, as SQL spells them. */
  readonly lacking: readonly string[];
}

/** Finds foreign keys whose referencing columns no index leads to. */
export const foreignKeyWithoutIndex: Check = {
  name: 'foreign_key_without_index',
  area: 'tables',
  finds: 'foreign keys whose referencing columns no index leads to',
  explanation: `For every row that is deleted from the referenced table, or whose key is changed, PostgreSQL looks for rows that refer to it. Without
an index that begins with the referencing columns that is a scan of the whole referencing table, all partitions of it, under the locks of
the deleting transaction.

A foreign key that partitions have by themselves, and their table has not, is looked at there: one of a single partition is found at
it, the same one of several at their table, once.

Where the index of the partitioned table is there and only lacks parts, index_missing_on_leaf and index_parent_invalid report that.

An index helps when its first columns are those of the key, in any order, and it is valid and not partial. Tables of few rows are left
out: a scan of them is no work.`,
  thresholds: {
    rows: {
      value: 10_000,
      unit: 'rows',
      source: 'A scan of fewer takes about a millisecond; PostgreSQL’s own estimate (reltuples) is compared',
    },
  },
  opens: false,
  look: async (scene) => {
    const rows = await read(scene);
    const wanted = rows.filter(isAsOfTable);
    const trees = await buildTrees(
      scene,
      wanted.map(({ root, names }) => ({ root, columns: names })),
    );
    const found: Found[] = [];
    for (const row of rows) {
      const fixes = isAsOfTable(row)
        ? fixesOf(row, trees[wanted.indexOf(row)] ?? [])
        : await fixesBelow(scene, row);
      found.push(toFound(row, fixes));
    }
    return { found };
  },
};

/** Reads which have no index: those of a table one by one; of partitions that have the same each by itself, all of them as one. */
async function read(scene: Scene): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    -- Columns by name: a partition may have them in another order.
    key as materialized (
      select k.oid, k.conname, k.conrelid, k.confrelid, r.root, r.level, k.confdeltype <> 'a' and k.confdeltype <> 'r' as cascades,
             (select array_agg(a.attname order by a.attname)
                from unnest(k.conkey) n join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n) as names
        from pg_constraint k join relation r on r.oid = k.conrelid
       where k.contype = 'f' and k.conparentid = 0
    ),
    fault as materialized (
      select min(k.oid) as oid, k.root, k.names, k.confrelid, bool_or(k.cascades) as cascades, min(k.level) as level,
             case when count(distinct k.conrelid) = 1 then min(k.conrelid) else k.root end as object,
             array_agg(distinct k.conrelid) as holders, jsonb_agg(distinct k.conname) as constraints
        from key k
       where k.level = 0 or not exists (select from key o where o.level = 0 and o.root = k.root and o.confrelid = k.confrelid and o.names = k.names)
       group by k.root, k.names, k.confrelid, case when k.level = 0 then k.oid end
    ),
    held (fault, oid) as (
      select f.oid, h from fault f cross join unnest(f.holders) h
      union
      select h.fault, m.oid from held h join member m on m.parent = h.oid
    ),
    indexed as materialized (
      select f.oid as fault, r.qualified, c.reltuples,
             exists (
               select from pg_index x
                 join pg_class xc on xc.oid = x.indexrelid
                 -- BRIN reads most of a table whose rows are in another order, and neither it nor GIN leads to a single row.
                 join pg_am am on am.oid = xc.relam and am.amname not in ('brin', 'gin')
                where x.indrelid = r.oid and x.indisvalid and x.indpred is null and x.indnkeyatts >= cardinality(f.names)
                  and f.names = (select array_agg(a.attname order by a.attname)
                                   from unnest(x.indkey[0:cardinality(f.names) - 1]) n
                                   join pg_attribute a on a.attrelid = x.indrelid and a.attnum = n)
             ) as has_index
        from held h
        join fault f on f.oid = h.fault
        join relation r on r.oid = h.oid and r.kind = 'r'
        join pg_class c on c.oid = r.oid
    ),
    counted as materialized (
      select i.fault, sum(greatest(i.reltuples, 0))::float8 as rows, count(*)::int as leaves,
             jsonb_agg(i.qualified order by i.qualified) filter (where not i.has_index) as lacking
        from indexed i group by i.fault
    )
    select f.object as root, r.qualified as "table", r.kind = 'p' as "isPartitioned", f.level > 0 as "isOfPartitions",
           cardinality(f.holders) = 1 as "isOne", c.leaves = (select count(*) from relation l where l.root = f.root and l.is_leaf) as "isEverywhere",
           ${isManaged('f.object')} and not exists (select from member m where m.root = f.object and m.level > 1) as "isManaged",
           column_list.names, column_list.columns, f.constraints,
           format('%I.%I', fn.nspname, d.relname) as referenced, f.cascades, c.rows, c.lacking
      from fault f
      join counted c on c.fault = f.oid
      join relation r on r.oid = f.object
      join pg_constraint k on k.oid = f.oid
      join pg_class d on d.oid = f.confrelid join pg_namespace fn on fn.oid = d.relnamespace
      cross join lateral (
        select jsonb_agg(a.attname order by n.at) as names, string_agg(quote_ident(a.attname), ', ' order by n.at) as columns
          from unnest(k.conkey) with ordinality n (num, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.num
      ) column_list
     where c.lacking is not null and c.rows >= ${scene.threshold('rows')}::float8
       -- One of the table that lacks parts is a finding of its own.
       and not exists (
         select from pg_index x join pg_class xc on xc.oid = x.indexrelid and xc.relkind = 'I'
          where x.indrelid in (f.object, f.root) and not x.indisvalid and x.indpred is null and x.indnkeyatts >= cardinality(f.names)
            and f.names <@ (select array_agg(a.attname)
                              from unnest(x.indkey[0:cardinality(f.names) - 1]) n
                              join pg_attribute a on a.attrelid = x.indrelid and a.attnum = n))
     order by r.qualified, f.constraints::text`.execute(scene.session.db);
  return rows;
}

function toFound(row: Row, fixes: readonly Fix[]): Found {
  const { table, constraints, columns, referenced, cascades, rows, lacking, isOne } = row;
  const [constraint] = constraints as [string];
  const isNamed = constraints.length === 1;
  const name = isNamed ? `foreign key ${constraint}` : `the foreign keys to ${referenced}`;
  const leaves = row.isPartitioned ? ` on ${partitions(lacking.length)}` : '';
  return {
    severity: 'warning',
    object: table,
    // Those of partitions may each have another name, and partitions come and go.
    key: isOne && isNamed ? constraint : `${columns} to ${referenced}`,
    message: `No index leads to ${columns} of ${name}${leaves}: each row deleted from ${referenced} scans ${Math.round(rows).toLocaleString('en-US')} rows${cascades ? ', and changes those that refer to it' : ''}.`,
    evidence: {
      constraint: isNamed ? constraint : firstFew(constraints),
      columns,
      referenced,
      cascades,
      rows: Math.round(rows),
      partitionsWithoutIndex: row.isPartitioned ? lacking.length : null,
    },
    fixes,
  };
}

/** Tells whether the index is best made on the table that it is found at, with all partitions of that. */
function isAsOfTable({ isOfPartitions, isOne, isEverywhere }: Row): boolean {
  return !isOfPartitions || (!isOne && isEverywhere);
}

/** Makes the fixes of one that some partitions have by themselves, or a single one. */
async function fixesBelow(scene: Scene, row: Row): Promise<readonly Fix[]> {
  const { root, table, names, columns, lacking, isOne } = row;
  if (!isOne) return lacking.map((leaf) => creating(leaf, columns));
  const narrowed = { ...scene, table: { oid: root, qualified: table } };
  return (await buildTrees(narrowed, [{ root, columns: names }]))[0] ?? [];
}

/** Of the tree only what it begins with, the index on the table alone, where repair builds and attaches the others. */
function fixesOf({ table, isPartitioned, isManaged }: Row, tree: readonly Fix[]): readonly Fix[] {
  if (!isPartitioned || !isManaged) return tree;
  return [...tree.slice(0, 1), { ...repairIndexes(table), phase: 'create_index' }];
}

function creating(table: string, columns: string): Fix {
  const text = `create index concurrently on ${table} (${columns})`;
  return { ...sqlFix('create_index', text), indexes: table };
}
