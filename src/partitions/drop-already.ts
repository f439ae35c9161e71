import { sql } from 'kysely';
import type { PartitionedTable } from '../db/catalog.ts';
import type { Session } from '../db/session.ts';
import { parseTableName } from '../db/table-name.ts';
import { reading } from '../db/transaction.ts';
import type { Selection } from './select.ts';

/** Something that has a name in a schema. */
interface Named {
  readonly schema: string;
  readonly name: string;
}

/** Tells whether a text, as SQL spells names, means something, with or without its schema. */
export function isNamed({ schema, name }: Named, text: string): boolean {
  const parsed = parseTableName(text);
  return parsed.spellings.includes(name) && (parsed.schema === null || parsed.schema.includes(schema));
}

/** A selection without what was dropped before, and the names of that. */
export interface OpenSelection {
  readonly selection: Selection;
  readonly already: readonly string[];
}

/**
 * Sets aside the names of leaves that an earlier run dropped: to drop them again there is nothing to do.
 *
 * A run that is killed after its last commit, and started again by the same words, so comes to its end.
 */
export async function setAsideDropped(
  session: Session,
  table: PartitionedTable,
  leaves: readonly Named[],
  selection: Selection,
): Promise<OpenSelection> {
  if (selection.kind !== 'names') return { selection, already: [] };
  const isUnknown = (text: string): boolean => !leaves.some((leaf) => isNamed(leaf, text));
  if (!selection.names.some(isUnknown)) return { selection, already: [] };
  const dropped = await reading(session, () => readDropped(session, table));
  const already = new Map<string, string>();
  for (const text of selection.names.filter(isUnknown)) {
    const found = dropped.find((leaf) => isNamed(leaf, text));
    if (found !== undefined) already.set(text, found.name);
  }
  const names = selection.names.filter((text) => !already.has(text));
  return { selection: { kind: 'names', names }, already: [...already.values()] };
}

async function readDropped(session: Session, table: PartitionedTable): Promise<readonly Named[]> {
  const { rows: known } = await sql<{ isThere: boolean }>`
    select to_regclass('sensordb.detached_leaf') is not null as "isThere"`.execute(session.db);
  if (known[0]?.isThere !== true) return [];
  // A name that something has again is not taken for what was dropped.
  const { rows } = await sql<Named>`
    select distinct s.schema, d.leaf_name as name
      from sensordb.detached_leaf d
      cross join lateral (values (d.leaf_schema), (d.target_schema)) s (schema)
     where d.parent_oid = ${String(table.oid)}::oid and d.state = 'dropped' and s.schema is not null
       and not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                        where c.relname = d.leaf_name and n.nspname = s.schema)`.execute(session.db);
  return rows;
}
