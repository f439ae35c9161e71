import { sql } from 'kysely';
import { qualifiedName, quoteIdentifier } from '../../db/quote.ts';
import { groupBy } from '../../partitions/drift.ts';
import { nameIndexes } from '../../partitions/index-names.ts';
import { keptFirst } from '../../partitions/index-shape.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

/** An index that a partitioned table is to have. */
export interface Wanted {
  readonly root: number;
  readonly columns: readonly string[];
}

interface Node extends Wanted {
  readonly parent: number | null;
  readonly oid: number;
  /** As SQL spells it. */
  readonly rootTable: string;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind. */
  readonly kind: string;
  /** An index of it that is just the wanted one, valid and attached to none. */
  readonly alike: string | null;
  /** The names of all relations of the schema, with one of its tables; with the others none. */
  readonly taken: readonly string[];
}

/**
 * Makes the fixes that build indexes of partitioned tables CONCURRENTLY where sensordb's own commands do not work, by list or
 * hash and of any depth: on each table alone, and on each partition, attached from below upwards; one list for each that is wanted.
 *
 * Of tables with foreign keys: those have no foreign table among their partitions (14 to 18).
 */
export async function buildTrees(
  scene: Scene,
  wanted: readonly Wanted[],
): Promise<readonly (readonly Fix[])[]> {
  const nodes = wanted.length === 0 ? [] : await readNodes(scene, wanted);
  const trees = groupBy(nodes, keyOf);
  const taken = new Map<string, Set<string>>();
  for (const { schema, taken: names } of nodes) {
    if (names.length > 0) taken.set(schema, new Set(names));
  }
  const built = new Map([...trees].map(([key, tree]) => [key, fixesOf(tree, taken)]));
  return wanted.map((one) => built.get(keyOf(one)) ?? []);
}

const keyOf = ({ root, columns }: Wanted): string => JSON.stringify([root, columns]);

async function readNodes(scene: Scene, wanted: readonly Wanted[]): Promise<readonly Node[]> {
  const { rows } = await sql<Node>`
    with recursive ${relationTree(scene)},
    wanted as materialized (
      select distinct w.root, w.columns, cardinality(w.columns) as count
        from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) w (root oid, columns text[])
    ),
    named as materialized (
      select c.relnamespace, jsonb_agg(c.relname) as taken
        from pg_class c
       where c.relnamespace in (select t.relnamespace from relation r join wanted w on w.root = r.root join pg_class t on t.oid = r.oid)
       group by c.relnamespace
    )
    select w.root, to_jsonb(w.columns) as columns, m.parent, r.oid, r.root_qualified as "rootTable", r.schema, r.name, r.kind,
           (array_agg(f.name order by f.standing) filter (where f.is_alike and not f.is_attached))[1] as alike,
           case when row_number() over (partition by r.schema) = 1 then d.taken else '[]' end as taken
      from wanted w
      join relation r on r.root = w.root
      join member m on m.root = r.root and m.oid = r.oid
      join pg_class t on t.oid = r.oid
      join named d on d.relnamespace = t.relnamespace
      left join lateral (
        select format('%I.%I', n.nspname, i.relname) as name, i.relispartition as is_attached,
               row_number() over (order by ${keptFirst()}) as standing,
               x.indnatts = w.count and not x.indisunique and i.relam = (select am.oid from pg_am am where am.amname = 'btree')
                 and w.columns = (
                   select array_agg(a.attname::text order by k.at)
                     from unnest(x.indkey, x.indoption, x.indclass, x.indcollation) with ordinality k (num, how, class, coll, at)
                     join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.num and k.how = 0 and k.coll = a.attcollation
                     join pg_opclass o on o.oid = k.class and o.opcdefault) as is_alike
          from pg_index x
          join pg_class i on i.oid = x.indexrelid join pg_namespace n on n.oid = i.relnamespace
         where x.indrelid = r.oid and x.indisvalid and x.indpred is null and x.indexprs is null and x.indnkeyatts = w.count
      ) f on true
     group by w.root, w.columns, m.parent, r.oid, r.root_qualified, r.schema, r.name, r.kind, r.level, d.taken
     order by w.root, w.columns, r.level, r.schema, r.name`.execute(scene.session.db);
  return rows;
}

function fixesOf(nodes: readonly Node[], taken: ReadonlyMap<string, Set<string>>): readonly Fix[] {
  const children = groupBy(nodes, ({ parent }) => parent);
  const build = (node: Node, above: string | null): readonly Fix[] => {
    const { schema, name, columns, alike } = node;
    const shape = { columns, constraintType: null };
    const made = alike === null ? nameIndexes(name, [shape], taken.get(schema) ?? new Set())[0] : undefined;
    const index = made === undefined ? (alike as string) : qualifiedName(schema, made);
    const below = made === undefined ? [] : (children.get(node.oid) ?? []);
    return [
      ...(made === undefined ? [] : [creating(node, made)]),
      ...below.flatMap((child) => build(child, index)),
      ...(above === null ? [] : [indexing(node, `alter index ${above} attach partition ${index}`)]),
    ];
  };
  return (children.get(null) ?? []).flatMap((root) => build(root, null));
}

function indexing({ rootTable }: Node, text: string): Fix {
  return { ...sqlFix('create_index', text), indexes: rootTable };
}

function creating(node: Node, index: string): Fix {
  const { schema, name, columns, kind } = node;
  // Said again, the first does no harm: what is attached afterwards makes the index valid, whoever made it.
  const [how, only] = kind === 'p' ? ['if not exists ', 'only '] : ['concurrently ', ''];
  const list = columns.map(quoteIdentifier).join(', ');
  const on = `${only}${qualifiedName(schema, name)}`;
  return indexing(node, `create index ${how}${quoteIdentifier(index)} on ${on} (${list})`);
}
