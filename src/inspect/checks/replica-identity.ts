import { sql } from 'kysely';
import { groupBy } from '../../partitions/drift.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import type { Scene } from '../scene.ts';
import { relationTree } from '../scope.ts';

const MOST_NAMED = 5;

// Publications of whole schemas came with this version.
const SCHEMAS_SINCE = 150_000;

/** Finds published tables and partitions whose rows nobody could tell a subscriber. */
export const replicaIdentity: Check = {
  name: 'replica_identity',
  area: 'tables',
  finds: 'tables and partitions in a publication of updates or deletes that have no usable replica identity',
  explanation: `A publication that publishes updates or deletes has to name each row by its old key: the replica identity. Without one, the
server refuses the UPDATE or DELETE itself (SQLSTATE 55000), on the publisher, at the first that anybody tries.

It is looked for on every partition, for there it counts, also where the table is published as a whole: by a primary key that
is valid and not deferrable, by the index that was chosen, or by all columns. It is no fault on a table that is only inserted into;
then the publication may as well publish inserts alone: ALTER PUBLICATION … SET (publish = 'insert').

The fix takes the primary key where there is one, else a unique index that will do, else all columns, which sends every old row
whole.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const rows = await read(scene);
    return { found: [...groupBy(rows, ({ root }) => root)].map((group) => judge(...group)) };
  },
};

interface Row {
  /** The table at the top, as SQL spells it. */
  readonly root: string;
  readonly qualified: string;
  readonly isPartition: boolean;
  readonly publications: readonly string[];
  /** What it has: `default`, `nothing`, `index`. */
  readonly identity: string;
  readonly hasKey: boolean;
  /** A unique index that will do, quoted where it must be. */
  readonly index: string | null;
}

async function read(scene: Scene): Promise<readonly Row[]> {
  const ofSchemas =
    scene.session.server.versionNum < SCHEMAS_SINCE
      ? sql``
      : sql`union all
            select p.pubname, c.oid from pub p join pg_publication_namespace s on s.pnpubid = p.oid
              join pg_class c on c.relnamespace = s.pnnspid and c.relkind in ('r', 'p')`;
  const { rows } = await sql<Row>`
    with recursive ${relationTree(scene)},
    pub as materialized (
      select p.oid, p.pubname, p.puballtables from pg_publication p where p.pubupdate or p.pubdelete
    ),
    -- Whoever is published is so with all that is below it.
    published (pubname, oid) as (
      select n.pubname, n.oid
        from (select p.pubname, r.prrelid as oid from pub p join pg_publication_rel r on r.prpubid = p.oid
              ${ofSchemas}) n
      union
      select d.pubname, i.inhrelid
        from published d join pg_partitioned_table t on t.partrelid = d.oid join pg_inherits i on i.inhparent = d.oid
    ),
    named as materialized (
      select x.oid, jsonb_agg(distinct x.pubname order by x.pubname) as publications
        from (select d.pubname, d.oid from published d
              union all
              select p.pubname, r.oid from pub p cross join relation r where p.puballtables) x
       group by x.oid
    ),
    leaf as materialized (
      select r.root_qualified as root, r.qualified, r.level > 0 as is_partition, r.oid, d.publications, c.relreplident
        from relation r
        join named d on d.oid = r.oid
        join pg_class c on c.oid = r.oid and c.relkind = 'r' and c.relpersistence = 'p' and c.relreplident <> 'f'
    ),
    index as materialized (
      select x.indrelid as oid, bool_or(x.indisprimary) as has_key, bool_or(x.indisreplident) as is_chosen,
             min(quote_ident(c.relname)) filter (where x.is_strict) as name
        from leaf l
        join (select x.*, x.indpred is null and x.indexprs is null and not exists (
                       select from pg_attribute a where a.attrelid = x.indrelid and a.attnum = any (x.indkey) and not a.attnotnull)
                     as is_strict
                from pg_index x where x.indisunique and x.indisvalid and x.indimmediate and x.indislive) x on x.indrelid = l.oid
        join pg_class c on c.oid = x.indexrelid
       group by x.indrelid
    )
    select l.root, l.qualified, l.is_partition as "isPartition", l.publications,
           case l.relreplident when 'd' then 'default' when 'n' then 'nothing' else 'index' end as identity,
           coalesce(i.has_key, false) as "hasKey", i.name as index
      from leaf l left join index i on i.oid = l.oid
     where not (l.relreplident = 'd' and coalesce(i.has_key, false)
                or l.relreplident = 'i' and coalesce(i.is_chosen, false))
     order by l.qualified`.execute(scene.session.db);
  return rows;
}

function judge(root: string, rows: readonly Row[]): Found {
  const names = rows.map(({ qualified }) => qualified);
  const publications = [...new Set(rows.flatMap((row) => row.publications))].toSorted();
  const shown = `${names.slice(0, MOST_NAMED).join(', ')}${names.length > MOST_NAMED ? ', …' : ''}`;
  const what = rows[0]?.isPartition === true ? `${names.length} of its partitions (${shown}) have` : 'It has';
  return {
    severity: 'warning',
    object: root,
    message: `${what} no replica identity, and ${publications.join(', ')} would publish their changes: every UPDATE and DELETE there fails.`,
    evidence: {
      publications,
      tables: names.slice(0, MOST_NAMED),
      tableCount: names.length,
      identities: [...new Set(rows.map(({ identity }) => identity))],
    },
    fixes: rows.map(fixOf),
  };
}

function fixOf({ qualified, hasKey, index }: Row): Fix {
  const identity = hasKey ? 'default' : index === null ? 'full' : `using index ${index}`;
  return sqlFix('repair', `alter table ${qualified} replica identity ${identity}`);
}
