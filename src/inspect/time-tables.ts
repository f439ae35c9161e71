import { sql } from 'kysely';
import { parseBound } from '../db/bounds.ts';
import { qualifiedName } from '../db/quote.ts';
import { compare } from '../partitions/coverage.ts';
import type { KeyType } from '../time/instant.ts';
import type { Scene } from './scene.ts';
import { memberTree } from './scope.ts';
import { type Draft, placed } from './time-nesting.ts';
import type { TimeTable } from './time-table.ts';

interface Row {
  readonly parent: number;
  readonly root: number;
  readonly owner: string;
  /** The next table of time above, and the partition of that by which one comes down here. */
  readonly above: number | null;
  readonly via: number | null;
  readonly parentSchema: string;
  readonly parentName: string;
  readonly key: string | null;
  readonly keyType: KeyType;
  readonly keys: number;
  readonly oid: number | null;
  readonly schema: string;
  readonly name: string;
  readonly relkind: string;
  readonly bound: string;
  readonly pending: boolean;
}

/** Reads the tables in scope that are partitioned by range of a time, with their partitions: one query for all checks of a run. */
export async function readTimeTables(scene: Scene): Promise<readonly TimeTable[]> {
  return await scene.once('time tables', async () => {
    // By the operator class, since the type of an expression stands nowhere, and that of a domain is not its own.
    const { rows } = await sql<Row>`
      with recursive ${memberTree(scene)},
      parent as materialized (
        select m.oid, m.root, m.parent as above, pg_get_userbyid(c.relowner)::text as owner, n.nspname::text as schema, c.relname::text as name, p.partnatts::int4 as keys,
               a.attname::text as key, t.typname::text as type
          from member m
          join pg_partitioned_table p on p.partrelid = m.oid and p.partstrat = 'r'
          join pg_opclass o on o.oid = p.partclass[0]
          join pg_type t on t.oid = o.opcintype and t.oid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
          join pg_class c on c.oid = m.oid
          join pg_namespace n on n.oid = c.relnamespace
          left join pg_attribute a on a.attrelid = m.oid and a.attnum = p.partattrs[0] and a.attnum > 0
      ),
      climb (oid, via, above) as (
        select p.oid, p.oid, p.above from parent p where p.above is not null
        union all
        select c.oid, c.above, m.parent
          from climb c join member m on m.oid = c.above
         where m.parent is not null and not exists (select from parent p where p.oid = c.above)
      )
      select p.oid as parent, p.root, p.owner, u.above, u.via, p.schema as "parentSchema", p.name as "parentName", p.key, p.type as "keyType", p.keys,
             c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as relkind,
             pg_get_expr(c.relpartbound, 0) as bound, i.inhdetachpending as pending
        from parent p
        left join climb u on u.oid = p.oid and u.above in (select a.oid from parent a)
        left join (pg_inherits i join pg_class c on c.oid = i.inhrelid and c.relispartition
                                 join pg_namespace n on n.oid = c.relnamespace) on i.inhparent = p.oid`.execute(
      scene.session.db,
    );
    return placed(toTables(rows));
  });
}

/** A bound as PostgreSQL prints it; of several columns the first is the time. */
const FIRST_COLUMN = /^FOR VALUES FROM \(('[^']*'|\w+).*\) TO \(('[^']*'|\w+).*\)$/;

function toTables(rows: readonly Row[]): ReadonlyMap<number, Draft> {
  const tables = new Map<number, Draft>();
  for (const row of rows) {
    const table = tables.get(row.parent) ?? emptyTable(row);
    tables.set(row.parent, table);
    const { oid, schema, name, relkind, bound, pending } = row;
    if (oid === null) continue;
    const qualified = qualifiedName(schema, name);
    const parsed = parseBound(bound.replace(FIRST_COLUMN, 'FOR VALUES FROM ($1) TO ($2)'), qualified);
    if (parsed.kind === 'default') {
      table.default = { oid, qualified, relkind };
      continue;
    }
    const { range } = parsed;
    // Of several columns, a leaf may begin and end at the same time: the others tell its rows from those of the next.
    if (range.lower >= range.upper) continue;
    table.leaves.push({
      ...{ oid, schema, name, qualified, range },
      isPlain: relkind === 'r',
      state: pending ? 'detach_pending' : 'attached',
    });
  }
  for (const { leaves } of tables.values()) {
    leaves.sort((a, b) => compare(a.range.lower, b.range.lower) || (a.name < b.name ? -1 : 1));
  }
  return tables;
}

function emptyTable({
  parent,
  root,
  owner,
  above,
  via,
  parentSchema,
  parentName,
  key,
  keyType,
  keys,
}: Row): Draft {
  return {
    ...{ oid: parent, root, owner },
    schema: parentSchema,
    name: parentName,
    qualified: qualifiedName(parentSchema, parentName),
    key,
    keyType,
    isManaged: key !== null && keys === 1,
    above,
    via,
    leaves: [],
    default: null,
  };
}
