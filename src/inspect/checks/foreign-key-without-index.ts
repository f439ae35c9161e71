import { sql } from 'kysely';
import type { Check } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { isManaged, repairIndexes } from '../indexes/repair.ts';
import { buildTrees } from '../indexes/tree-fixes.ts';
import { relationTree } from '../scope.ts';

interface Row {
  readonly root: number;
  readonly names: readonly string[];
  /** `partitions repair` can build it. */
  readonly isManaged: boolean;
  readonly table: string;
  readonly isPartitioned: boolean;
  readonly constraint: string;
  readonly columns: string;
  readonly referenced: string;
  readonly cascades: boolean;
  readonly rows: number;
  readonly lacking: number;
}

/** Finds foreign keys whose referencing columns no index leads to. */
export const foreignKeyWithoutIndex: Check = {
  name: 'foreign_key_without_index',
  area: 'tables',
  finds: 'foreign keys whose referencing columns no index leads to',
  explanation: `For every row that is deleted from the referenced table, or whose key is changed, PostgreSQL looks for rows that refer to it. Without
an index that begins with the referencing columns that is a scan of the whole referencing table, all partitions of it, under the locks of
the deleting transaction.

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
    const { rows } = await sql<Row>`
      with recursive ${relationTree(scene)},
      key as materialized (
        select k.oid, k.conname, k.conrelid, k.confrelid, k.conkey, k.confdeltype <> 'a' and k.confdeltype <> 'r' as cascades
          from pg_constraint k join relation r on r.oid = k.conrelid and r.level = 0
         where k.contype = 'f' and k.conparentid = 0
      ),
      -- Columns by name: a partition may have them in another order.
      wanted as materialized (
        select k.oid, array_agg(a.attname order by a.attname) as names
          from key k cross join unnest(k.conkey) n join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n
         group by k.oid
      ),
      leaf as materialized (
        select k.oid as key, r.oid, c.reltuples
          from key k join relation r on r.root = k.conrelid and r.kind = 'r' join pg_class c on c.oid = r.oid
      ),
      indexed as materialized (
        select l.key, l.oid, l.reltuples,
               exists (
                 select from pg_index x join wanted w on w.oid = l.key
                   join pg_class xc on xc.oid = x.indexrelid
                   -- BRIN reads most of a table whose rows are in another order, and neither it nor GIN leads to a single row.
                   join pg_am am on am.oid = xc.relam and am.amname not in ('brin', 'gin')
                  where x.indrelid = l.oid and x.indisvalid and x.indpred is null and x.indnkeyatts >= cardinality(w.names)
                    and w.names = (select array_agg(a.attname order by a.attname)
                                     from unnest(x.indkey[0:cardinality(w.names) - 1]) n
                                     join pg_attribute a on a.attrelid = x.indrelid and a.attnum = n)
               ) as has_index
          from leaf l
      )
      select k.conrelid as root, r.qualified as "table", ${isManaged('k.conrelid')} and not exists (
               select from member m where m.root = k.conrelid and m.level > 1) as "isManaged",
             (select jsonb_agg(a.attname order by n.at)
                from unnest(k.conkey) with ordinality n (num, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.num) as names,
              r.kind = 'p' as "isPartitioned", k.conname::text as "constraint",
             (select string_agg(quote_ident(a.attname), ', ' order by n.at)
                from unnest(k.conkey) with ordinality n (num, at) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = n.num) as columns,
             format('%I.%I', fn.nspname, f.relname) as referenced, k.cascades,
             sum(greatest(i.reltuples, 0))::float8 as rows, count(*) filter (where not i.has_index)::int as lacking
        from key k
        join relation r on r.oid = k.conrelid
        join indexed i on i.key = k.oid
        join pg_class f on f.oid = k.confrelid join pg_namespace fn on fn.oid = f.relnamespace
       group by r.qualified, r.kind, k.oid, k.conname, k.conkey, k.conrelid, k.cascades, fn.nspname, f.relname
      having count(*) filter (where not i.has_index) > 0
         and sum(greatest(i.reltuples, 0)) >= ${scene.threshold('rows')}::float8
         -- One of the table that lacks parts is a finding of its own.
         and not exists (
           select from pg_index x
            where x.indrelid = k.conrelid and r.kind = 'p' and not x.indisvalid and x.indpred is null
              and x.indnkeyatts >= cardinality(k.conkey) and x.indkey[0:cardinality(k.conkey) - 1] @> k.conkey)
       order by r.qualified, k.conname`.execute(scene.session.db);
    const partitioned = rows.filter((row) => row.isPartitioned);
    const trees = await buildTrees(
      scene,
      partitioned.map(({ root, names }) => ({ root, columns: names })),
    );
    return { found: rows.map((row) => toFound(row, fixesOf(row, trees[partitioned.indexOf(row)] ?? []))) };
  },
};

function toFound(row: Row, fixes: readonly Fix[]) {
  const { table, constraint, columns, referenced, cascades, rows, lacking } = row;
  const leaves = row.isPartitioned ? ` on ${lacking} ${lacking === 1 ? 'partition' : 'partitions'}` : '';
  return {
    severity: 'warning' as const,
    object: table,
    key: constraint,
    message: `No index leads to ${columns} of foreign key ${constraint}${leaves}: each row deleted from ${referenced} scans ${Math.round(rows).toLocaleString('en-US')} rows${cascades ? ', and changes those that refer to it' : ''}.`,
    evidence: {
      constraint,
      columns,
      referenced,
      cascades,
      rows: Math.round(rows),
      partitionsWithoutIndex: row.isPartitioned ? lacking : null,
    },
    fixes,
  };
}

/** Of the tree only what it begins with, the index on the table alone, where repair builds and attaches the others. */
function fixesOf({ table, isPartitioned, isManaged, columns }: Row, tree: readonly Fix[]): readonly Fix[] {
  if (!isPartitioned) {
    const text = `create index concurrently on ${table} (${columns})`;
    return [{ ...sqlFix('create_index', text), indexes: table }];
  }
  return isManaged ? [...tree.slice(0, 1), { ...repairIndexes(table), phase: 'create_index' }] : tree;
}
