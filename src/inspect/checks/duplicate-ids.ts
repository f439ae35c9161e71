import { quoteIdentifier, quoteLiteral } from '../../db/quote.ts';
import type { Check, Found } from '../check.ts';
import { type Fix, irreversibleFix, sqlFix } from '../fix.ts';
import { type IdColumn, readIdColumns } from '../id-columns.ts';
import { type DuplicateRow, type IdSample, readIdSamples } from '../id-sample.ts';
import { type IdSource, readIdSources } from '../id-sources.ts';
import type { Scene } from '../scene.ts';

const MOST_NAMED = 5;

/** Fewer rows at an end say nothing. */
const FEWEST_ROWS = 20;

/** Finds ids that stand twice in a partitioned table, where no key of it can forbid that. */
export const duplicateIds: Check = {
  name: 'duplicate_ids',
  area: 'tables',
  finds:
    'ids that stand twice in a table whose primary key holds the time, too, and sequences that are about to give such',
  explanation: `The primary key of a partitioned table must hold the partition key: (id, timestamp) lets the same id stand once in every
instant. Nothing but the sequence keeps ids unique. It fails to when it is set back, as by a restore or a copy that brings rows with
their ids, or when two loads give ids of their own; then an update by id changes two rows, and an application that takes id for its
key finds more than it can bear.

Only a part is looked at, so that it takes some milliseconds on any table, and what it does not find may still be there: of the
newest partitions that have begun, of the oldest, and of DEFAULT, so many rows with the lowest and with the highest ids, by
index; the same for every table, but fewer where there are many tables. A finding says which partitions and how many rows.
Partitions in between, and partitions that are partitioned further, are not looked at. To look at all of it:
SELECT id FROM the_table GROUP BY id HAVING count(*) > 1.

Looked for are columns of integers that a sequence gives, in a unique key of two columns of which the other is the partition key,
if an index begins with them.
A sequence that stands below the highest id seen is reported, too: it will give ids that are there already.

The fix sets the sequence past the highest id and gives the later rows of the same id new ones. Tables that refer to them by id have
to be looked at before.`,
  thresholds: {
    newest_partitions: {
      value: 3,
      unit: 'partitions',
      source: 'the current one and those that late rows reach',
    },
    rows: {
      value: 2000,
      unit: 'rows at either end of a partition',
      source: 'some 20 pages of an index, read in less than a millisecond',
    },
    all_rows: { value: 40_000, unit: 'rows in all tables together', source: 'some 30 ms' },
  },
  opens: true,
  look: async (scene) => {
    const columns = await readIdColumns(scene);
    if (columns.length === 0) return { found: [] };
    const sources = await readIdSources(scene, columns, Math.max(1, scene.threshold('newest_partitions')));
    const readable = new Map(
      [...sources].map(([column, list]) => [column, list.filter((one) => canBeRead(one))]),
    );
    const ends = 2 * Math.max(1, [...readable.values()].flat().length);
    const share = Math.max(FEWEST_ROWS, Math.floor(scene.threshold('all_rows') / ends));
    const rows = Math.max(1, Math.floor(Math.min(scene.threshold('rows'), share)));
    const samples = await readIdSamples(scene, readable, rows);
    return {
      found: columns.flatMap((column) => {
        const looked = readable.get(column) ?? [];
        const sample = samples.get(column);
        return [
          ...(sample === undefined ? [] : judge(column, looked, sample)),
          ...unseen(scene, column, sources.get(column) ?? []),
        ];
      }),
    };
  },
};

function canBeRead({ from, isLocked, hasIndex }: IdSource): boolean {
  return from !== null && !isLocked && hasIndex;
}

function judge(column: IdColumn, looked: readonly IdSource[], sample: IdSample): readonly Found[] {
  const { table, sequence, last, isAscending } = column;
  const { highest, duplicates, isCut, rows } = sample;
  const isBehind = isAscending && last !== null && highest !== null && BigInt(last) < BigInt(highest);
  const ids = [...new Set(duplicates.map(({ id }) => id))];
  if (!isBehind && ids.length === 0) return [];
  const name = quoteIdentifier(column.column);
  const parts = [
    ...(ids.length === 0
      ? []
      : [
          `${isCut ? 'At least ' : ''}${ids.length} of the ids looked at stand more than once in ${name}, such as ${ids[0]}.`,
        ]),
    ...(isBehind
      ? [`${sequence} stands at ${last}, below the highest id ${highest}: it will give ids that are there.`]
      : []),
    `Looked at ${rows} rows in ${looked.length} of ${table.leaves.length + (table.default === null ? 0 : 1)} partitions.`,
  ];
  return [
    {
      severity: 'warning',
      object: table.qualified,
      key: column.column,
      message: parts.join(' '),
      evidence: {
        column: column.column,
        duplicateIds: ids.length,
        examples: ids.slice(0, MOST_NAMED),
        sequence,
        sequenceAt: last,
        highestId: highest,
        rowsLookedAt: rows,
        partitionsLookedAt: looked.map(({ qualified }) => qualified),
      },
      fixes: fixesOf(column, sample, isBehind),
    },
  ];
}

function fixesOf(
  { table, column, key, sequence }: IdColumn,
  { highest, duplicates }: IdSample,
  isBehind: boolean,
): readonly Fix[] {
  const later = duplicates.filter(({ place }) => place > 1);
  const id = quoteIdentifier(column);
  const spell = (row: DuplicateRow): string => `(${row.id}, ${quoteLiteral(row.key)})`;
  return [
    ...(isBehind ? [sqlFix('repair', `select setval(${quoteLiteral(sequence)}, ${highest})`)] : []),
    ...(later.length === 0
      ? []
      : [
          irreversibleFix(
            'repair',
            `update ${table.qualified} set ${id} = default where (${id}, ${quoteIdentifier(key)}) in (${later.map(spell).join(', ')})`,
          ),
        ]),
  ];
}

/** Says what of it could not be seen, and what that needs; what is locked is reported by the run. */
function unseen(scene: Scene, column: IdColumn, sources: readonly IdSource[]): readonly Found[] {
  const { table, sequence, mayReadLast } = column;
  const closed = sources.filter(({ from, isLocked }) => from === null && !isLocked);
  const bare = sources.filter(({ from, isLocked, hasIndex }) => from !== null && !isLocked && !hasIndex);
  const needs = [
    ...(closed.length === 0 ? [] : [`SELECT on ${closed.map(({ qualified }) => qualified).join(', ')}`]),
    ...(bare.length === 0
      ? []
      : [
          `an index that begins with ${quoteIdentifier(column.column)} on ${bare.map(({ qualified }) => qualified).join(', ')}`,
        ]),
    ...(mayReadLast ? [] : [`USAGE or SELECT on ${sequence}, which nobody alters`]),
  ];
  if (needs.length === 0) return [];
  return [
    {
      severity: 'unknown',
      object: table.qualified,
      key: column.column,
      message: `Role ${scene.session.server.user} could not look for ids that stand twice everywhere. It needs ${needs.join('; ')}.`,
      evidence: { column: column.column, needs },
      fixes: [],
    },
  ];
}
