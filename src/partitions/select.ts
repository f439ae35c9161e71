import { usageError } from '../cli/errors.ts';
import type { PartitionedTable } from '../db/catalog.ts';
import { qualifiedName } from '../db/quote.ts';
import { parseTableName } from '../db/table-name.ts';
import { type Age, before, parseAge } from '../time/ages.ts';
import { parseUserInstant } from '../time/durations.ts';
import type { Instant, Range } from '../time/instant.ts';

/** Which leaves a command is to work on: those that are named, or those that ended before a time. */
export type Selection =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'age'; readonly age: Age }
  | { readonly kind: 'before'; readonly before: Instant };

/** What `detach` and `drop` choose leaves by, as commander hands it over. */
export interface SelectionOptions {
  readonly olderThan?: string;
  readonly before?: string;
}

/** Reads which leaves are meant; throws usage errors unless they are told in exactly one way. */
export function parseSelection(
  names: readonly string[],
  options: SelectionOptions,
  command: string,
): Selection {
  const given: Selection[] = [];
  if (names.length > 0) given.push({ kind: 'names', names });
  if (options.olderThan !== undefined) {
    given.push({ kind: 'age', age: parseAge(options.olderThan, '--older-than') });
  }
  if (options.before !== undefined) {
    given.push({ kind: 'before', before: parseUserInstant(options.before, '--before') });
  }
  const [selection, another] = given;
  if (selection === undefined || another !== undefined) {
    throw usageError(
      'selection',
      'Say in one way which leaves: by their names, --older-than AGE or --before DATE.',
      {
        hint: `sensordb ${command} --older-than 12mo takes those that ended 12 months ago or earlier.`,
      },
    );
  }
  return selection;
}

/** What can be selected: a leaf, or what was one. */
interface Selectable {
  readonly schema: string;
  readonly name: string;
  readonly range: Range;
}

/**
 * Chooses leaves, in the order of their lower bounds.
 *
 * Ages are judged by the upper bound: a leaf is old when even its youngest possible row is. Throws a usage error for a
 * name that is none of theirs.
 */
export function selectLeaves<L extends Selectable>(
  table: PartitionedTable,
  leaves: readonly L[],
  selection: Selection,
  now: Instant,
): readonly L[] {
  switch (selection.kind) {
    case 'names': {
      const chosen = new Set(selection.names.map((text) => findByName(table, leaves, text)));
      return leaves.filter((leaf) => chosen.has(leaf));
    }
    case 'age':
      return endedBy(leaves, before(now, selection.age));
    case 'before':
      return endedBy(leaves, selection.before);
  }
}

function endedBy<L extends Selectable>(leaves: readonly L[], cutoff: Instant): readonly L[] {
  return leaves.filter(({ range }) => range.upper <= cutoff);
}

/** Finds the leaf of a name as SQL spells it, with or without its schema. */
export function findByName<L extends Pick<Selectable, 'schema' | 'name'>>(
  table: PartitionedTable,
  leaves: readonly L[],
  text: string,
): L {
  const { schema, spellings } = parseTableName(text);
  for (const name of spellings) {
    const found = leaves.filter(
      (leaf) => leaf.name === name && (schema === null || schema.includes(leaf.schema)),
    );
    // Of two leaves of one name in two schemas the one beside its parent is meant.
    const leaf = found.find((one) => one.schema === table.schema) ?? found[0];
    if (leaf !== undefined) return leaf;
  }
  throw usageError(
    'unknown_leaf',
    `${text} is no leaf of ${table.qualified}, nor one that sensordb detached from it.`,
    {
      object: text,
      hint: `See what there is: sensordb partitions list --table ${qualifiedName(table.schema, table.name)}.`,
    },
  );
}
