import { type RawBuilder, sql } from 'kysely';
import { formatInstant, fromDate } from '../../time/instant.ts';
import type { Scene } from '../scene.ts';
import { memberTree } from '../scope.ts';

/**
 * The indexes that are looked at, for `with recursive`: `member` as memberTree gives it, and `branch (root, oid)`.
 *
 * A root is one logical index: of a table, of a partitioned table, or of a partition alone; below it stand the indexes of
 * partitions that are attached to it, at any depth, and it itself. Of one access method alone, where that is given.
 */
export function indexTree(scene: Scene, method?: 'btree' | 'brin'): RawBuilder<unknown> {
  const only =
    method === undefined
      ? sql`true`
      : sql`i.relam = (select am.oid from pg_am am where am.amname = ${method})`;
  return sql`
    ${memberTree(scene)},
    branch (root, oid) as (
      select x.indexrelid, x.indexrelid
        from pg_index x
        join pg_class i on i.oid = x.indexrelid and not i.relispartition and ${only}
        join member m on m.oid = x.indrelid
      union all
      select b.root, h.inhrelid from branch b join pg_inherits h on h.inhparent = b.oid
    )`;
}

/** Names the first few of many, for evidence. */
export function firstFew(names: readonly string[]): readonly string[] {
  return names.slice(0, 5);
}

/** Spells how many partitions: "1 partition", "12 partitions". */
export function partitions(count: number): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? 'partition' : 'partitions'}`;
}

/** Spells milliseconds since 1970 as ISO 8601; null stays null. */
export function isoInstant(milliseconds: number | null): string | null {
  return milliseconds === null ? null : formatInstant(fromDate(new Date(Math.floor(milliseconds))));
}
