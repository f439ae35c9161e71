import { sql } from 'kysely';
import { qualifiedName } from '../db/quote.ts';
import { overlaps } from '../partitions/coverage.ts';
import { groupBy } from '../partitions/drift.ts';
import { formatInstantShort, type Instant, parseInstant, type Range } from '../time/instant.ts';
import { commandFix, type Fix, shellWord } from './fix.ts';
import { guessRange, leafNames } from './leaf-names.ts';
import type { Scene } from './scene.ts';
import type { TimeTable } from './time-table.ts';
import { readTimeTables } from './time-tables.ts';

/** A table that was a partition, and stands beside the others as if it still were one. */
export interface Orphan {
  readonly table: TimeTable;
  /** Other tables that it may just as well have been a partition of. */
  readonly others: readonly TimeTable[];
  readonly qualified: string;
  /** What was or must have been its bounds; null: nobody can tell. */
  readonly range: Range | null;
  /** When and by whom sensordb detached it; null: somebody else did. */
  readonly detached: { readonly at: Instant; readonly by: string } | null;
  /** The command that puts it back, where its bounds are known and free. */
  readonly fixes: readonly Fix[];
}

interface NotedRow {
  readonly parent: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly lower: string;
  readonly upper: string;
  readonly at: string;
  readonly by: string;
}

interface ShapedRow {
  readonly parent: number;
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** Finds the tables that were detached and stand in a schema of their parent or of its leaves; three queries, once a run. */
export async function readOrphans(scene: Scene): Promise<readonly Orphan[]> {
  return await scene.once('orphans', async () => {
    const tables = await readTimeTables(scene);
    const noted = await readNoted(scene);
    const known = new Set(noted.map(({ oid }) => oid));
    const shaped = (await readShaped(scene, tables)).filter(({ oid }) => !known.has(oid));
    const fits = groupBy(shaped, ({ oid }) => oid);
    const byOid = new Map(tables.map((table) => [table.oid, table]));
    const withFix = (orphan: Omit<Orphan, 'fixes'>): Orphan => ({ ...orphan, fixes: attachFixes(orphan) });
    return [
      ...noted.flatMap((row) => {
        const table = byOid.get(row.parent);
        if (table === undefined || !schemasOf(table).has(row.schema)) return [];
        const range = {
          lower: parseInstant(row.lower) as Instant,
          upper: parseInstant(row.upper) as Instant,
        };
        const detached = { at: parseInstant(row.at) as Instant, by: row.by };
        return [
          withFix({ table, others: [], qualified: qualifiedName(row.schema, row.name), range, detached }),
        ];
      }),
      ...[...fits.values()].map((rows) => {
        const [{ schema, name }] = rows as [ShapedRow];
        const [table, ...others] = rows.map(({ parent }) => byOid.get(parent)) as [TimeTable, ...TimeTable[]];
        const range = others.length === 0 ? guessRange(name, table) : null;
        return withFix({ table, others, qualified: qualifiedName(schema, name), range, detached: null });
      }),
    ];
  });
}

function attachFixes({ table, qualified, range, detached }: Omit<Orphan, 'fixes'>): readonly Fix[] {
  const isFree = range !== null && !table.leaves.some((leaf) => overlaps(leaf.range, range));
  if (!isFree || !table.isManaged) return [];
  const bounds = `--from ${formatInstantShort(range.lower)} --until ${formatInstantShort(range.upper)}`;
  const words = [shellWord(qualified), ...(detached === null ? [bounds] : [])].join(' ');
  const text = `sensordb partitions attach --table ${shellWord(table.qualified)} ${words}`;
  return [{ ...commandFix('partition', text), attaches: qualified }];
}

function schemasOf({ schema, leaves }: TimeTable): ReadonlySet<string> {
  return new Set([schema, ...leaves.map((leaf) => leaf.schema)]);
}

async function readNoted({ session, capabilities }: Scene): Promise<readonly NotedRow[]> {
  if (capabilities.ownTables !== 'all') return [];
  // The history and the run log are older.
  const { rows: known } = await sql<{ isThere: boolean }>`
    select to_regclass('sensordb.detached_leaf') is not null as "isThere"`.execute(session.db);
  if (known[0]?.isThere !== true) return [];
  const { rows } = await sql<NotedRow>`
    select d.parent_oid as parent, c.oid, n.nspname::text as schema, c.relname::text as name,
           d.lower_bound::text as lower, d.upper_bound::text as upper, d.detached_at::text as at, d.detached_by as by
      from sensordb.detached_leaf d
      join pg_class c on c.oid = d.leaf_oid and c.relname = d.leaf_name and not c.relispartition
      join pg_namespace n on n.oid = c.relnamespace
     where d.state in ('detaching', 'detached')
     order by d.lower_bound, d.leaf_name`.execute(session.db);
  return rows;
}

/** Finds ordinary tables that are named as the leaves of a table are, in its schema or theirs, and have its very columns. */
async function readShaped({ session }: Scene, tables: readonly TimeTable[]): Promise<readonly ShapedRow[]> {
  const patterns = tables.flatMap((table) =>
    [...schemasOf(table)].flatMap((schema) =>
      leafNames(table).map((names) => ({ parent: table.oid, schema, ...names })),
    ),
  );
  const { rows } = await sql<ShapedRow>`
    with pattern as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(patterns)}::jsonb) as p (parent oid, schema name, base text, mask text)
    ),
    loose as materialized (
      select c.oid, n.nspname, c.relname, regexp_replace(c.relname, '[0-9]', '0', 'g') as mask
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where c.relkind = 'r' and not c.relispartition and c.relpersistence <> 't' and c.relname ~ '[0-9]'
         and n.nspname in (select p.schema from pattern p)
         and not exists (select from pg_inherits i where i.inhrelid = c.oid)
         and not exists (select from pg_depend d
                          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    ),
    candidate as materialized (
      select distinct p.parent, l.oid, l.nspname, l.relname
        from loose l join pattern p on p.schema = l.nspname and p.mask = l.mask and starts_with(l.relname::text, p.base)
    ),
    shape as materialized (
      select a.attrelid as oid, array_agg(row(a.attname, a.atttypid, a.atttypmod)::text order by a.attname) as columns
        from pg_attribute a
       where a.attrelid in (select c.oid from candidate c union all select c.parent from candidate c)
         and a.attnum > 0 and not a.attisdropped
       group by 1
    )
    select c.parent, c.oid, c.nspname::text as schema, c.relname::text as name
      from candidate c
      join shape s on s.oid = c.oid
      join shape p on p.oid = c.parent and p.columns = s.columns
     order by c.nspname, c.relname, c.parent`.execute(session.db);
  return rows;
}
