import { sql } from 'kysely';
import type { Check } from '../check.ts';
import { type Fix, sqlFix } from '../fix.ts';
import { relationTree } from '../scope.ts';

interface Row {
  readonly table: string;
  readonly isPartitioned: boolean;
  readonly partitions: readonly string[];
  readonly hasKey: readonly boolean[];
  readonly publications: readonly string[];
  /** pg_class.relreplident of the table itself. */
  readonly ofTable: string;
}

/** Finds published tables of which rows cannot be told apart. */
export const replicaIdentity: Check = {
  name: 'replica_identity',
  area: 'tables',
  finds: 'published tables without a replica identity, on which UPDATE and DELETE fail',
  explanation: `A publication that publishes UPDATE or DELETE needs to say which row: by the replica identity, the primary key unless another is
chosen. A table without one takes inserts, and refuses every UPDATE and DELETE (55000). Of a partitioned table the identity of the very
partition counts in which the row lies: ALTER TABLE … REPLICA IDENTITY does not reach partitions, and new ones take none over.

Where there is a primary key the fix makes it the identity; where there is none, FULL: the whole old row is sent.`,
  thresholds: {},
  opens: false,
  look: async (scene) => {
    const { session } = scene;
    // A publication can take whole schemas in from 15 on.
    const bySchema =
      session.server.versionNum >= 150_000
        ? sql`union select n.pnpubid, c.oid from pg_publication_namespace n join pg_class c on c.relnamespace = n.pnnspid`
        : sql``;
    const { rows } = await sql<Row>`
      with recursive ${relationTree(scene)},
      publishing as materialized (
        select p.oid, p.pubname, p.puballtables from pg_publication p where p.pubupdate or p.pubdelete
      ),
      listed (pub, oid) as materialized (
        select l.prpubid, l.prrelid from pg_publication_rel l
        ${bySchema}
      ),
      published (pub, oid) as (
        select p.pubname, r.oid from publishing p join listed n on n.pub = p.oid join relation r on r.oid = n.oid
        union
        select p.pubname, r.oid from publishing p cross join relation r where p.puballtables and r.level = 0
        union
        select u.pub, m.oid from published u join member m on m.parent = u.oid
      ),
      lacking as (
        select r.root_qualified, r.root, r.qualified, u.pub, key.indexrelid is not null as has_key
          from published u
          join relation r on r.oid = u.oid and r.kind = 'r'
          join pg_class c on c.oid = r.oid and c.relpersistence = 'p'
          left join pg_index key on key.indrelid = c.oid and key.indisprimary and key.indisvalid
          left join pg_index chosen on chosen.indrelid = c.oid and chosen.indisreplident and chosen.indisvalid
         where case c.relreplident when 'f' then false when 'd' then key.indexrelid is null
                                   when 'i' then chosen.indexrelid is null else true end
      )
      select l.root_qualified as "table", bool_or(k.relkind = 'p') as "isPartitioned",
             to_jsonb(array_agg(distinct l.qualified)) as partitions,
             to_jsonb((select array_agg(d.has_key order by d.qualified)
                         from (select distinct o.qualified, o.has_key from lacking o where o.root = l.root) d)) as "hasKey",
             to_jsonb(array_agg(distinct l.pub)) as publications, k.relreplident::text as "ofTable"
        from lacking l join pg_class k on k.oid = l.root
       group by l.root, l.root_qualified, k.relreplident
       order by l.root_qualified`.execute(session.db);
    return {
      found: rows.map((row) => ({
        severity: 'critical',
        object: row.table,
        message: `UPDATE and DELETE fail on ${describe(row)}: published by ${row.publications.join(', ')}, without a replica identity.`,
        evidence: {
          publications: row.publications,
          partitions: row.partitions.slice(0, 10),
          count: row.partitions.length,
        },
        fixes: fixesOf(row),
      })),
    };
  },
};

/** The table itself gets the same, which publishes nothing by itself: new partitions get theirs from it, and are compared with it. */
function fixesOf({ table, isPartitioned, partitions, hasKey, ofTable }: Row): readonly Fix[] {
  const wanted = hasKey.map((has) => (has ? 'default' : 'full'));
  const [first] = wanted;
  const isOne = first !== undefined && wanted.every((one) => one === first);
  const differs = isPartitioned && isOne && ofTable !== (first === 'full' ? 'f' : 'd');
  const tables = [
    ...(differs ? [[table, first] as const] : []),
    ...partitions.map((name, at) => [name, wanted[at]] as const),
  ];
  return tables.map(([name, identity]) =>
    sqlFix('repair', `alter table ${name} replica identity ${identity}`),
  );
}

function describe({ table, isPartitioned, partitions }: Row): string {
  if (!isPartitioned) return table;
  const shown = partitions.slice(0, 3).join(', ');
  return `${partitions.length === 1 ? 'a partition' : `${partitions.length} partitions`} of ${table} (${shown}${partitions.length > 3 ? ', …' : ''})`;
}
